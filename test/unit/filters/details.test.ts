import { expect } from 'chai';
import { deniedDetails } from '../../../src/filters/details.ts';

describe('details of a denial', () => {
  it('name the rule that decided, without whitespace', () => {
    expect(deniedDetails(undefined)).to.equal('rbac_access_denied_matched_policy[none]');
    expect(deniedDetails('a b\tc')).to.equal('rbac_access_denied_matched_policy[a_b_c]');
  });
});
