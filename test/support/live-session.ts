/*
 * A session of the command line with a cluster that is only lists of objects, and one log.
 */
import type { LiveSession } from '../../src/cli/live/session.ts';
import type { KubeClient } from '../../src/cluster/client.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';

/** What the cluster has. */
export interface ListedCluster {
  /** By the last segment of the path of their collection. */
  readonly objects: Readonly<Record<string, readonly RawObject[]>>;
  /** The log of every container; absent: an empty one. */
  readonly log?: () => AsyncIterable<Uint8Array>;
}

/** A session about all namespaces. */
export function sessionWith({ objects, log = nothing }: ListedCluster): LiveSession {
  const client: KubeClient = {
    server: 'https://fake',
    namespace: 'default',
    request({ path }) {
      const items = objects[path.split('/').at(-1) ?? ''] ?? [];
      return Promise.resolve({ status: 200, json: { metadata: { resourceVersion: '1' }, items } });
    },
    stream: () => Promise.resolve({ status: 200, body: log() }),
    close: () => Promise.resolve(),
  };
  return { client, namespace: 'default', scope: undefined };
}

// oxlint-disable-next-line require-yield -- an empty log
async function* nothing(): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
}
