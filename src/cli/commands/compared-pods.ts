/*
 * Which pods two sets of policies are compared for.
 */
import { workloadKey } from '../../api/kube/keys.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import type { PolicySet } from '../input/policy-set.ts';
import { resolveWorkload } from '../input/workload-argument.ts';
import { writeMessage } from '../terminal/writers.ts';
import { type SelectorPod, selectorPods } from './selector-pods.ts';

/** The policies before and after a change. */
export type SetPair = readonly [before: PolicySet, after: PolicySet];

/** A pod whose policies are compared. */
export interface ComparedPod {
  readonly workload: string;
  /** Absent: as in its manifest. */
  readonly labels?: Labels;
}

/** A pod for a proof. */
export interface ProvenPod extends ComparedPod {
  /** The set that has its workload; absent: both. */
  readonly onlyIn?: 'before' | 'after';
}

/** Every workload of both sets, with each set of labels that its pods have. A set without the workload applies its policies to them alike. */
export function provenPods([before, after]: SetPair, wanted: string | undefined, { stderr }: CommandContext): readonly ProvenPod[] {
  const workloads = [...new Set([...before.workloads, ...after.workloads])].toSorted();
  if (workloads.length === 0 && wanted !== undefined) return [{ workload: wanted }];
  const named = wanted === undefined ? workloads : [workloadKey(resolveWorkload(wanted, workloads))];
  const pods = named.flatMap((workload): readonly ProvenPod[] => {
    const [isBefore, isAfter] = [before.workloads.includes(workload), after.workloads.includes(workload)];
    if (isBefore && isAfter) return sharedPods(workload, before.labelSets(workload), after.labelSets(workload));
    if ((isBefore ? after : before).policies === undefined) {
      writeMessage(stderr, `${workload} is not the workload of the bundle and is not compared`);
      return [];
    }
    const onlyIn = isBefore ? 'before' : 'after';
    return (isBefore ? before : after).labelSets(workload).map((labels) => ({ workload, labels, onlyIn }));
  });
  return wanted === undefined ? [...pods, ...selectedPods([before, after], stderr)] : pods;
}

/** The workloads of both sets. @throws CommandError when no workload is in both */
export function comparedPods([before, after]: SetPair, wanted: string | undefined, { stderr }: CommandContext): readonly ComparedPod[] {
  if (wanted !== undefined) return [{ workload: wanted }];
  if (before.workloads.length + after.workloads.length === 0) return selectedPods([before, after], stderr);
  const shared = before.workloads.filter((workload) => after.workloads.includes(workload));
  const unshared = [...before.workloads, ...after.workloads].filter((workload) => !shared.includes(workload));
  for (const workload of unshared) writeMessage(stderr, `${workload} is in one set only and is not compared`);
  if (shared.length === 0) throw new CommandError(EXIT_BAD_DATA, 'the two sets have no workload in common');
  return [...shared.map((workload) => ({ workload })), ...selectedPods([before, after], stderr)];
}

/** A workload whose pods do not differ has the labels of each set; otherwise each set of labels is compared by itself. */
function sharedPods(workload: string, before: readonly Labels[], after: readonly Labels[]): readonly ProvenPod[] {
  if (before.length === 1 && after.length === 1) return [{ workload }];
  const distinct = new Map([...before, ...after].map((labels) => [JSON.stringify(Object.entries(labels).toSorted()), labels]));
  return [...distinct.values()].map((labels) => ({ workload, labels }));
}

/** Pods by the labels that policies select. @throws CommandError when there is neither a workload nor a policy */
function selectedPods(sides: SetPair, stderr: CommandContext['stderr']): readonly SelectorPod[] {
  const hasWorkloads = sides.some(({ workloads }) => workloads.length > 0);
  const pods = selectorPods(sides)();
  if (pods.length === 0 && !hasWorkloads) {
    throw new CommandError(EXIT_BAD_DATA, 'the two sets have neither workloads nor policies, so nothing is compared');
  }
  if (pods.length > 0) {
    const reason = hasWorkloads ? 'some policies select no workload in the input; also' : 'no workloads in the input;';
    writeMessage(stderr, `${reason} compared for pods with the labels that the policies select: ${listOf(pods)}`);
  }
  return pods;
}

const MAX_LISTED = 20;

function listOf(pods: readonly SelectorPod[]): string {
  const names = pods.slice(0, MAX_LISTED).map(({ workload }) => workload);
  return `${names.join(', ')}${pods.length > MAX_LISTED ? ` and ${pods.length - MAX_LISTED} more` : ''}`;
}
