/*
 * The policies in the bundle that is published for a pod or workload, for the commands that evaluate requests.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Labels } from '../../resolve/policy-applies.ts';
import type { CommandContext } from '../context/command-context.ts';
import { policySetOfDecoded } from '../input/bundle-policy-set.ts';
import type { KeySetOf } from '../input/key-sets.ts';
import { onlyPort, type PolicySet } from '../input/policy-set.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { readPublishedBundle } from './published-bundle.ts';
import { withSession } from './session.ts';
import { findTarget, parseTargetName, requireTargetName } from './target.ts';

/** The policies, and the labels of the pod that was named, or of a pod of the workload. */
export interface LivePolicies {
  readonly set: PolicySet;
  readonly labels: Labels | undefined;
}

const MANIFEST = /\.(ya?ml|json)$/;

/** Whether the only argument names a pod or workload of the cluster: it is not a file, and looks like a name of one. */
export async function namesTarget(args: readonly string[], context: CommandContext): Promise<boolean> {
  const [text, ...more] = args;
  if (text === undefined || more.length > 0 || MANIFEST.test(text) || parseTargetName(text) === undefined) return false;
  return stat(resolve(context.cwd, text)).then(
    () => false,
    () => true,
  );
}

/** Reads the policies of the pod or workload that `name` names. @throws like `withSession`, `findTarget` and `readPublishedBundle` */
export async function readLivePolicies(
  name: string,
  options: ClusterOptions,
  { keySetOf, context }: { readonly keySetOf: KeySetOf; readonly context: CommandContext },
): Promise<LivePolicies> {
  const wanted = requireTargetName(name);
  return withSession(options, context, async (session) => {
    const target = await findTarget(session, wanted);
    const { bundle, statement } = await readPublishedBundle(session, target);
    const set = policySetOfDecoded(bundle, { keySetOf, isPublished: true });
    return {
      set: { ...set, digest: statement.digest, ownPort: () => onlyPort(target.pods.map(({ ports = [] }) => ({ ports }))) },
      labels: target.pods[0]?.labels,
    };
  });
}
