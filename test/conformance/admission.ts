/*
 * Admission of recorded resources by our own rules. In: a Kubernetes object. Out: the stages that refuse it. Used when a
 * case is built; the replay compares the stages with the record.
 */
import { validatePolicy } from '../../src/api/istio/validate-policy.ts';
import type { ValidationStage } from '../../src/api/istio/validation-finding.ts';
import type { RecordedResource } from './case-file.ts';

/** The stages of admission that refuse `resource`, sorted, each once; empty: it is admitted. */
export function refusedAt(resource: RecordedResource): readonly ValidationStage[] {
  const errors = validatePolicy(resource).filter(({ severity }) => severity === 'error');
  return [...new Set(errors.map(({ stage }) => stage))].sort();
}
