/*
 * A parsed policy as an object that parses to the same policy.
 */
import { DRY_RUN_ANNOTATION, SECURITY_GROUP, SECURITY_VERSIONS } from '../kube/names.ts';
import type { JwtRule, Policy } from './resources.ts';

/** The object as `kubectl get` would print it, with what `parsePolicy` reads and no more. */
export function toManifest(policy: Policy): object {
  const { annotations, resourceVersion: _resourceVersion, ...metadata } = policy.metadata;
  const dryRun = annotations?.[DRY_RUN_ANNOTATION];
  const { jwtRules, ...spec } = policy.kind === 'RequestAuthentication' ? policy.spec : { ...policy.spec, jwtRules: undefined };
  return {
    apiVersion: `${SECURITY_GROUP}/${SECURITY_VERSIONS[0]}`,
    kind: policy.kind,
    metadata: { ...metadata, ...(dryRun === undefined ? {} : { annotations: { [DRY_RUN_ANNOTATION]: dryRun } }) },
    spec: { ...spec, ...(jwtRules === undefined ? {} : { jwtRules: jwtRules.map(toJwtRule) }) },
  };
}

function toJwtRule({ timeoutMs, ...rule }: JwtRule): object {
  return timeoutMs === undefined ? rule : { ...rule, timeout: `${(timeoutMs / 1000).toFixed(9)}s` };
}
