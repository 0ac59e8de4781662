/*
 * Finds target references that select no pods.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { isGatewayTarget } from '../resolve/policy-applies.ts';
import { warn } from './shared/lint-finding.ts';

/** A warning for each target of `policy` that is not a Gateway: Istio uses others for waypoints, which exist only in an ambient mesh. */
export function findIdleTargets({ spec }: Policy): readonly Finding[] {
  return (spec.targetRefs ?? []).flatMap((ref, index) =>
    isGatewayTarget(ref)
      ? []
      : [
          warn({
            code: 'SP_SELECTS_NOTHING',
            path: `spec.targetRefs[${index}].kind`,
            message: `a target of kind "${ref.kind}" selects no pods: such targets are for the waypoints of an ambient mesh, which Sallyport does not have`,
            hint: 'select the pods with selector.matchLabels instead of targetRefs',
          }),
        ],
  );
}
