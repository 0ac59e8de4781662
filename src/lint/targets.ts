/*
 * Targets that have no pods here. In: one policy. Out: a warning for each. Called by lintPolicy.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { isGatewayTarget } from '../resolve/policy-applies.ts';
import { warn } from './shared/lint-finding.ts';

/** The targets of `policy` that are no Gateway: in Istio they are for waypoints, which exist only in an ambient mesh. */
export function findIdleTargets({ spec }: Policy): readonly Finding[] {
  return (spec.targetRefs ?? []).flatMap((ref, index) =>
    isGatewayTarget(ref)
      ? []
      : [
          warn({
            code: 'SP_SELECTS_NOTHING',
            path: `spec.targetRefs[${index}].kind`,
            message: `a ${ref.kind} selects no pods: such targets are for waypoints of an ambient mesh, of which there are none here`,
            hint: 'name the pods by selector.matchLabels instead of targetRefs',
          }),
        ],
  );
}
