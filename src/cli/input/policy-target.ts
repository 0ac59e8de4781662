/*
 * Chooses the program of one workload out of its bundle: the variant of the pod that a request goes to.
 */
import { workloadKey } from '../../api/kube/keys.ts';
import type { Bundle } from '../../bundle/bundle.ts';
import type { Enforced } from '../../explain/evaluate-to-end.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';

/** The program and the keys of one pod of a workload. */
export interface Target extends Enforced {
  /** `namespace/kind/name`. */
  readonly workload: string;
  /** Of the chosen pod; from a bundle only the labels that distinguish its variants. */
  readonly labels: Labels;
  /** What the user should know about this choice, e.g. that the pods of the workload differ. */
  readonly caveats: readonly string[];
}

/**
 * The program in `bundle` for a pod with `labels`.
 * @param labels absent: any pod; a caveat says so when pods differ
 * @throws CommandError with exit code 65 when no variant has these labels
 */
export function chooseTarget(bundle: Bundle, labels: Labels | undefined): Target {
  const candidates = bundle.variants.filter(
    (variant) => labels === undefined || bundle.relevantLabels.every((key) => variant.labels[key] === labels[key]),
  );
  const [chosen] = candidates;
  const program = bundle.programs[chosen?.program ?? -1];
  const workload = workloadKey(bundle.workload);
  if (program === undefined) {
    const known = bundle.variants.map((variant) => labelText(variant.labels) || 'no labels');
    throw new CommandError(EXIT_BAD_DATA, `the bundle of ${workload} has no program for these labels, only for ${known.join(' and ')}`);
  }
  const chosenLabels = chosen?.labels ?? {};
  const differ = new Set(candidates.map((variant) => variant.program)).size > 1;
  const caveats = differ
    ? [`policies differ between pods of ${workload}; this is for pods with ${labelText(chosenLabels)}; choose others with --labels`]
    : [];
  return { program, keySets: bundle.keySets, workload, labels: chosenLabels, caveats };
}

/** The error for a workload that is not in the input. @param known `namespace/kind/name` of those that are */
export function unknownWorkload(workload: string, known: readonly string[]): CommandError {
  const names = known.length === 0 ? 'none' : known.toSorted().join(', ');
  return new CommandError(EXIT_BAD_DATA, `no workload ${workload}; known: ${names}; with --labels no manifest is needed`);
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map((pair) => pair.join('='))
    .join(',');
}
