/*
 * The pod or workload that a command line names as kubectl names it, in the cluster.
 */
import { type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import { projectPod, type SlimPod } from '../../api/kube/slim.ts';
import { workloadOf } from '../../api/kube/workload.ts';
import { listObjects } from '../../cluster/list-objects.ts';
import { readObject } from '../../cluster/objects.ts';
import { PODS } from '../../cluster/paths.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_FAILURE, EXIT_USAGE } from '../context/exit-codes.ts';
import { ALWAYS, type LiveSession } from './session.ts';

/** A workload, and the pods of it that the command line names. */
export interface LiveTarget {
  readonly workload: WorkloadRef;
  /** One for `POD`, all of the workload for `KIND/NAME`; not finished ones. */
  readonly pods: readonly SlimPod[];
}

/** A name as kubectl takes it: `NAME` or `KIND/NAME`. */
export interface TargetName {
  /** Kind in lower case, short names resolved; absent: a pod, or the only workload of that name. */
  readonly kind?: string;
  readonly name: string;
}

const SHORT_KINDS: ReadonlyMap<string, string> = new Map([
  ['po', 'pod'],
  ['deploy', 'deployment'],
  ['sts', 'statefulset'],
  ['ds', 'daemonset'],
  ['rs', 'replicaset'],
  ['cj', 'cronjob'],
]);
const NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;
const KIND = /^[a-z][-a-z0-9]{0,62}$/;

/** Parses the name of a pod or workload; undefined: the text is not one. */
export function parseTargetName(text: string): TargetName | undefined {
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0) return undefined;
  if (second === undefined) return NAME.test(first) ? { name: first } : undefined;
  // `deployment.apps` and `deployments` are the same to kubectl.
  const word = (first.toLowerCase().split('.')[0] ?? '').replace(/s$/, '');
  const kind = SHORT_KINDS.get(first.toLowerCase()) ?? SHORT_KINDS.get(word) ?? word;
  return KIND.test(kind) && NAME.test(second) ? { kind, name: second } : undefined;
}

/** The same. @throws CommandError with exit code 64 for another text */
export function requireTargetName(text: string): TargetName {
  const name = parseTargetName(text);
  if (name === undefined) throw new CommandError(EXIT_USAGE, `invalid name "${text}": expected POD or KIND/NAME, e.g. deployment/httpbin`);
  return name;
}

/** The target in the namespace of the session. @throws CommandError with exit code 1 when it does not exist, 64 when several workloads have the name */
export async function findTarget(session: LiveSession, { kind, name }: TargetName): Promise<LiveTarget> {
  const { client, namespace } = session;
  if (kind === undefined || kind === 'pod') {
    const raw = await readObject(client, { resource: PODS, namespace, name }, ALWAYS);
    if (raw !== undefined) {
      const pod = projectPod(raw);
      return { workload: workloadOf(pod), pods: [pod] };
    }
    if (kind === 'pod') throw new CommandError(EXIT_FAILURE, `pods "${name}" not found in namespace ${namespace}`);
  }
  const pods = await podsOf(session);
  const matching = Map.groupBy(
    pods.filter((pod) => isNamed(workloadOf(pod), { ...(kind === undefined ? {} : { kind }), name })),
    (pod) => workloadKey(workloadOf(pod)),
  );
  const [found, ...others] = [...matching.values()];
  const [first] = found ?? [];
  if (found === undefined || first === undefined) throw notFound(namespace, { kind, name });
  if (others.length > 0) {
    throw new CommandError(
      EXIT_USAGE,
      `several workloads are named ${name}: ${[...matching.keys()].toSorted().join(', ')}; give KIND/NAME`,
    );
  }
  return { workload: workloadOf(first), pods: found };
}

/** Pods of the namespace that have not finished. @param metadataOnly read enough to know their names and workloads, and no more */
export async function podsOf({ client, namespace }: LiveSession, metadataOnly = false): Promise<readonly SlimPod[]> {
  const pods: SlimPod[] = [];
  const fieldSelector = 'status.phase!=Succeeded,status.phase!=Failed';
  await listObjects(client, { resource: PODS, namespace, fieldSelector, metadataOnly }, (raw) => pods.push(projectPod(raw)), ALWAYS);
  return pods;
}

function isNamed(workload: WorkloadRef, wanted: TargetName): boolean {
  return workload.name === wanted.name && (wanted.kind === undefined || wanted.kind === workload.kind);
}

function notFound(namespace: string, { kind, name }: { readonly kind: string | undefined; readonly name: string }): CommandError {
  const what =
    kind === undefined ? `no pod and no workload with running pods is named "${name}"` : `no running pod belongs to ${kind}/${name}`;
  return new CommandError(EXIT_FAILURE, `${what} in namespace ${namespace}`);
}
