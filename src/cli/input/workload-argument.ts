/*
 * Parses the workload and the pod labels that are named on the command line.
 */
import { parseWorkloadKey, type WorkloadRef } from '../../api/kube/keys.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_USAGE } from '../context/exit-codes.ts';

/** The workload that `text` names. @throws CommandError with exit code 64 unless it is `namespace/name` */
export function parseWorkload(text: string): WorkloadRef {
  if (!/^[^/\s]+\/[^/\s]+$/.test(text)) throw new CommandError(EXIT_USAGE, `invalid workload "${text}": expected namespace/name`);
  return parseWorkloadKey(text);
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
