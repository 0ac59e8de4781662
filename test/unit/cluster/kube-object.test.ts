/* Keys of raw objects. */
import { expect } from 'chai';
import { isRawObject, keyOf, type RawObject } from '../../../src/cluster/kube-object.ts';

describe('keyOf', () => {
  it('includes the namespace when there is one', () => {
    expect(keyOf({ metadata: { namespace: 'foo', name: 'x' } })).to.equal('foo/x');
    expect(keyOf({ metadata: { name: 'x' } })).to.equal('x');
    expect(keyOf({ metadata: { namespace: '', name: 'x' } })).to.equal('x');
  });

  it('returns undefined for an object without a name', () => {
    for (const object of [{}, { metadata: {} }, { metadata: { name: '' } }, { metadata: { name: 5 } }]) {
      expect(keyOf(object as RawObject)).to.equal(undefined);
    }
  });
});

describe('isRawObject', () => {
  it('accepts JSON objects only', () => {
    expect([{}, [], null, 'x', 5, undefined].map(isRawObject)).to.deep.equal([true, false, false, false, false, false]);
  });
});
