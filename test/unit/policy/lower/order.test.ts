/*
 * The order of strings by bytes, and the order of policies.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { compareBytes, sortPolicies } from '../../../../src/policy/lower/order.ts';

describe('orders', () => {
  it('compareBytes orders strings by their UTF-8 bytes', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'B', '\u00e9', '\uffee', '😀', '𐀀', '') });
    fc.assert(
      fc.property(text, text, (left, right) => {
        expect(Math.sign(compareBytes(left, right))).to.equal(Buffer.compare(Buffer.from(left), Buffer.from(right)));
      }),
    );
  });

  it('compareBytes puts every surrogate behind all other code units', () => {
    for (const code of ['\ud800', '\udbff', '\udc00', '\udfff']) {
      for (const other of ['', 'a', '\ud7ff', '\ue000', '\uffff']) {
        expect(compareBytes(code, other)).to.be.above(0);
        expect(compareBytes(other, code)).to.be.below(0);
      }
      expect(compareBytes(code, code)).to.equal(0);
    }
  });

  it('sortPolicies orders policies by age, name and namespace, those without a timestamp first', () => {
    const policy = (
      name: string,
      namespace: string,
      creationTimestamp?: string,
    ): { readonly metadata: { name: string; namespace: string; creationTimestamp?: string } } => ({
      metadata: { name, namespace, ...(creationTimestamp !== undefined && { creationTimestamp }) },
    });
    const sorted = [
      policy('z', 'z'),
      policy('b', 'a', '2020-01-01T00:00:00Z'),
      policy('b', 'b', '2020-01-01T00:00:00Z'),
      policy('a', 'c', '2021-01-01T00:00:00Z'),
    ];
    expect(sortPolicies([...sorted].reverse())).to.deep.equal(sorted);
  });
});
