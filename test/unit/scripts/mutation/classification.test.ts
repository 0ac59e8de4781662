import { expect } from 'chai';
import { KINDS, readClassification } from '../../../../scripts/mutation/classification.ts';

describe('classification.json', () => {
  it('has a known kind and a reason for each mutant', () => {
    for (const { id, mutant, kind, reason } of readClassification('scripts/mutation/classification.json').values()) {
      expect(id).to.match(/^[0-9a-f]{16}$/);
      expect(KINDS, id).to.include(kind);
      expect(mutant, id).not.to.equal('');
      expect(reason.length, id).to.be.greaterThan(20);
    }
  });
});
