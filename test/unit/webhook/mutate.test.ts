/* JSON Patch between two objects. @see RFC 6902 */
import { expect } from 'chai';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { patchBetween } from '../../../src/webhook/mutate.ts';

describe('patchBetween', () => {
  const same = ['kept'];
  const rows: readonly (readonly [string, RawObject, RawObject, object[]])[] = [
    ['empty for equal fields', { spec: { a: same } }, { spec: { a: same } }, []],
    ['an added field', { metadata: {} }, { metadata: { annotations: {} } }, [{ op: 'add', path: '/metadata/annotations', value: {} }]],
    ['a replaced field', { spec: { a: [1] } }, { spec: { a: [2] } }, [{ op: 'add', path: '/spec/a', value: [2] }]],
    ['a removed field', { spec: { a: 1 } }, { spec: {} }, [{ op: 'remove', path: '/spec/a' }]],
    ['a whole part', {}, { metadata: { a: 1 } }, [{ op: 'add', path: '/metadata', value: { a: 1 } }]],
    ['a name that needs escaping', { spec: {} }, { spec: { 'a/b~c': 1 } }, [{ op: 'add', path: '/spec/a~1b~0c', value: 1 }]],
  ];
  for (const [name, before, after, steps] of rows) {
    it(`is correct: ${name}`, () => {
      expect(patchBetween(before, after)).to.deep.equal(steps);
    });
  }
});
