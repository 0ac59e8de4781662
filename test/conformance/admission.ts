/*
 * Validates recorded resources with Sallyport's admission and returns the stages that reject them. The replay compares the
 * stages with the record.
 */
import { validatePolicy } from '../../src/api/istio/validate-policy.ts';
import type { ValidationStage } from '../../src/api/istio/validation-finding.ts';
import type { RecordedResource } from './case-file.ts';

/** Stages of admission that reject `resource`, sorted and without duplicates; empty: it is admitted. */
export function refusedAt(resource: RecordedResource): readonly ValidationStage[] {
  const errors = validatePolicy(resource).filter(({ severity }) => severity === 'error');
  return [...new Set(errors.map(({ stage }) => stage))].sort();
}
