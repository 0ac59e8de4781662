/* `CompileInput.policiesFor` for tests that have an array of policies instead of a cluster. */
import type { Policy } from '../../src/api/istio/resources.ts';
import type { Labels } from '../../src/resolve/policy-applies.ts';
import { createSelection } from '../../src/resolve/selection.ts';

/** The policies among `policies` that apply to a pod of `namespace`, by its labels. */
export function selectFrom(
  policies: readonly Policy[],
  namespace = 'foo',
  rootNamespace = 'istio-system',
): (labels: Labels) => readonly Policy[] {
  const selection = createSelection(() => rootNamespace);
  for (const after of policies) selection.apply({ kind: 'policy', after });
  return (labels) => [...selection.policiesFor(namespace, labels).values()];
}
