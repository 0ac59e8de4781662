/*
 * Parses the workload and the pod labels that are named on the command line.
 */
import { parseWorkloadKey, type WorkloadKey, type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_USAGE } from '../context/exit-codes.ts';

/** Forms in which a workload is named: `namespace/name`, or `namespace/kind/name`. */
export const WORKLOAD_PATTERN: RegExp = /^[^/\s]+(?:\/[^/\s]+){1,2}$/;

/**
 * The workload that `text` names. Without a kind it is the only known one of that name, and a Deployment if none is known.
 * @param known keys of the workloads in the input
 * @throws CommandError with exit code 64 unless it is `namespace/name` or `namespace/kind/name`, or if several have that name
 */
export function resolveWorkload(text: string, known: readonly WorkloadKey[]): WorkloadRef {
  if (!WORKLOAD_PATTERN.test(text)) {
    throw new CommandError(EXIT_USAGE, `invalid workload "${text}": expected namespace/name or namespace/kind/name`);
  }
  const parts = text.split('/');
  if (parts.length === 3) return parseWorkloadKey(text);
  const [namespace = '', name = ''] = parts;
  const matching = known.map(parseWorkloadKey).filter((workload) => workload.namespace === namespace && workload.name === name);
  if (matching.length > 1) {
    throw new CommandError(EXIT_USAGE, `several workloads are named ${text}: ${matching.map(workloadKey).toSorted().join(', ')}`);
  }
  return matching[0] ?? { namespace, kind: 'deployment', name };
}

/** Labels of the form `key=value,key=value`. @throws CommandError with exit code 64 */
export function parseLabels(text: string): Labels {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 1) throw new CommandError(EXIT_USAGE, `invalid labels "${text}": expected key=value,key=value`);
      return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
    }),
  );
}
