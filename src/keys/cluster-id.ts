/*
 * The identity of a cluster: the UID of its namespace kube-system, which exists once and is never created again.
 */

import type { KubeClient } from '../cluster/client.ts';
import { readObject } from '../cluster/objects.ts';
import { NAMESPACES } from '../cluster/paths.ts';
import { TransientError } from '../errors.ts';

/** Reads the UID once, and remembers it. */
export function clusterReader(client: KubeClient): (signal: AbortSignal) => Promise<string> {
  let known: string | undefined;
  return async (signal) => {
    known ??= (await readObject(client, { resource: NAMESPACES, name: 'kube-system' }, signal))?.metadata?.uid;
    // The API server creates it soon after its start.
    if (known === undefined) throw new TransientError('SP_KUBE_API', 'the namespace kube-system does not exist yet');
    return known;
  };
}
