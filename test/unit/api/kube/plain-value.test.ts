/* JSON values of YAML documents, and documents that have none. */
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { plainValue } from '../../../../src/api/kube/plain-value.ts';
import { RefusedError } from '../../../../src/errors.ts';

function valueOf(text: string): unknown {
  const [document] = [...parseAllDocuments(text)];
  if (document === undefined) throw new Error('no document');
  return plainValue(document);
}

/** Nine levels of nine aliases each: about 387 million leaves. */
const BILLION_LAUGHS = Array.from({ length: 9 }, (_, level) =>
  level === 0
    ? 'a0: &a0 [x,x,x,x,x,x,x,x,x]'
    : `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(',')}]`,
).join('\n');

describe('plainValue', () => {
  it('expands aliases', () => {
    expect(valueOf('a: &x {b: 1}\nc: *x\nd: [*x, *x]')).to.deep.equal({ a: { b: 1 }, c: { b: 1 }, d: [{ b: 1 }, { b: 1 }] });
  });

  it('keeps a member named __proto__ as a member', () => {
    const value = valueOf('__proto__: {a: 1}') as object;

    expect(Object.getOwnPropertyNames(value)).to.deep.equal(['__proto__']);
    expect('a' in value).to.equal(false);
  });

  for (const [name, text] of [
    ['an alias of the whole document', '&a\nspec: *a'],
    ['an alias of an ancestor', 'spec: &s {containers: [{env: *s}]}'],
    ['two aliases that refer to each other', 'a: &a {b: &b {c: *a, d: *b}}'],
    ['aliases that expand without bound', BILLION_LAUGHS],
  ] as const) {
    it(`rejects ${name}`, () => {
      expect(() => valueOf(text)).to.throw(RefusedError);
    });
  }
});
