import { expect } from 'chai';
import { dryRunOf } from '../../../../src/policy/lower/dry-run.ts';

describe('the dry-run annotation', () => {
  const dryRun = (value: string | undefined): boolean | 'invalid' =>
    dryRunOf({ namespace: 'foo', name: 'p', ...(value !== undefined && { annotations: { 'istio.io/dry-run': value } }) });

  it('has the values of a boolean in Go', () => {
    for (const value of ['1', 't', 'T', 'TRUE', 'true', 'True']) expect(dryRun(value), value).to.equal(true);
    for (const value of ['0', 'f', 'F', 'FALSE', 'false', 'False', undefined]) expect(dryRun(value), value).to.equal(false);
    for (const value of ['', 'tRUE', 'fALSE', 'yes', 'no', ' true', '2']) expect(dryRun(value), value).to.equal('invalid');
  });

  it('is absent among other annotations', () => {
    expect(dryRunOf({ namespace: 'foo', name: 'p', annotations: { 'dry-run': 'true' } })).to.equal(false);
  });
});
