/*
 * Whether policies ask who the peer is.
 */
import type { Clause, Program } from '../policy/model/program.ts';

/** Whether a rule of `program` has a condition on the identity of the peer. */
export function hasPeerConditions({ http, tcp }: Program): boolean {
  const isPeer = ({ attribute }: Clause): boolean => attribute === 'peer';
  return [http, tcp].some(({ audit, deny, allow, dryRunDeny, dryRunAllow }) =>
    [audit, deny, allow, dryRunDeny, dryRunAllow].some(({ rules }) =>
      rules.some(({ from, when }) => when.some(isPeer) || from.some((entry) => entry.some(isPeer))),
    ),
  );
}
