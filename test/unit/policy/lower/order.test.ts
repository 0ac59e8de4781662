/*
 * Byte order and the order of policies. In: rows. Out: nothing.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { compareBytes, sortPolicies } from '../../../../src/policy/lower/order.ts';

describe('order', () => {
  it('of texts is that of their UTF-8 bytes', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'B', '\u00e9', '\uffee', '😀', '𐀀', '') });
    fc.assert(
      fc.property(text, text, (left, right) => {
        expect(Math.sign(compareBytes(left, right))).to.equal(Buffer.compare(Buffer.from(left), Buffer.from(right)));
      }),
    );
  });

  it('of policies is by age, then name, then namespace; those without a date first', () => {
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
