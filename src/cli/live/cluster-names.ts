/*
 * Names in a cluster and in a kubeconfig, for completion. Failures are not reported, because the user is typing.
 */
import { workloadOf } from '../../api/kube/workload.ts';
import { listObjects } from '../../cluster/list-objects.ts';
import { NAMESPACES } from '../../cluster/paths.ts';
import type { NamesOf } from '../completion/complete.ts';
import type { CommandContext } from '../context/command-context.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { ALWAYS, withSession } from './session.ts';
import { podsOf } from './target.ts';

const PATIENCE_MS = 2000;
const MAX_NAMES = 500;
/** A name that no shell interprets. */
const PLAIN = /^[\w./:@-]+$/;

/** The names that start with `start`, at most 500, sorted; empty when they cannot be read in two seconds. */
export async function clusterNames(
  of: NamesOf,
  start: string,
  { options, context }: { readonly options: ClusterOptions; readonly context: CommandContext },
): Promise<readonly string[]> {
  try {
    const names = of === 'context' ? await contextNames(options) : await inTime(readNames(of, options, context));
    return [...new Set(names)]
      .filter((name) => name.startsWith(start) && PLAIN.test(name))
      .toSorted()
      .slice(0, MAX_NAMES);
  } catch {
    return [];
  }
}

async function contextNames({ kubeconfig }: ClusterOptions): Promise<readonly string[]> {
  const { loadKubeConfig } = await import('../../cluster/kubeconfig.ts');
  return loadKubeConfig(kubeconfig === undefined ? {} : { kubeconfig }).contexts.map(({ name }) => name);
}

function readNames(of: 'target' | 'namespace', options: ClusterOptions, context: CommandContext): Promise<readonly string[]> {
  return withSession(options, context, async (session) => {
    if (of === 'target') {
      const pods = await podsOf(session, true);
      return pods.flatMap((pod) => {
        const { kind, name } = workloadOf(pod);
        return kind === 'pod' ? [pod.name] : [pod.name, `${kind}/${name}`];
      });
    }
    const names: string[] = [];
    const collection = { resource: NAMESPACES, metadataOnly: true };
    await listObjects(session.client, collection, ({ metadata }) => names.push(metadata?.name ?? ''), ALWAYS);
    return names;
  });
}

function inTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('too late')), PATIENCE_MS).unref();
    work.then(resolve, reject);
  });
}
