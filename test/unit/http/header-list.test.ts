import { expect } from 'chai';
import {
  appendToHeader,
  firstHeader,
  hasHeader,
  headerPairs,
  headerValues,
  lowerCaseNames,
  NO_HEADERS,
  removeHeader,
  removeHeadersWhere,
  replaceHeader,
  selectHeaders,
  setHeader,
} from '../../../src/http/header-list.ts';

const LIST = ['a', '1', 'b', 'a', 'a', '2'];

/** `LIST` after `edit`. */
function edited(edit: (headers: string[]) => void): readonly string[] {
  const headers = [...LIST];
  edit(headers);
  return headers;
}

describe('a header list', () => {
  it('is searched by name and never by value', () => {
    expect(firstHeader(LIST, 'a')).to.equal('1');
    expect(headerValues(LIST, 'a')).to.deep.equal(['1', '2']);
    expect(headerValues(LIST, 'b')).to.deep.equal(['a']);
    expect([hasHeader(LIST, 'b'), hasHeader(LIST, '2')]).to.deep.equal([true, false]);
  });

  it('has no value when a name is absent', () => {
    expect(firstHeader(LIST, '1')).to.equal(undefined);
    expect(headerValues(LIST, '1')).to.equal(NO_HEADERS);
  });

  for (const [name, edit, expected] of [
    ['sets a header at the end in place of every one of its name', (at) => setHeader(at, 'a', 'x'), ['b', 'a', 'a', 'x']],
    ['sets a header that is absent', (at) => setHeader(at, 'c', 'x'), [...LIST, 'c', 'x']],
    ['replaces the first value where it stands', (at) => replaceHeader(at, 'a', 'x'), ['a', 'x', 'b', 'a', 'a', '2']],
    ['replaces a header that is absent by adding it', (at) => replaceHeader(at, 'c', 'x'), [...LIST, 'c', 'x']],
    ['appends to the first header of a name', (at) => appendToHeader(at, 'a', 'x'), ['a', '1,x', 'b', 'a', 'a', '2']],
    ['appends nothing when the header is absent', (at) => appendToHeader(at, 'c', 'x'), LIST],
    ['removes every header of a name', (at) => removeHeader(at, 'a'), ['b', 'a']],
    ['removes nothing when the header is absent', (at) => removeHeader(at, 'c'), LIST],
    ['removes by a test of names', (at) => removeHeadersWhere(at, (current) => current < 'b'), ['b', 'a']],
  ] satisfies readonly (readonly [string, (headers: string[]) => void, readonly string[]])[]) {
    it(name, () => {
      expect(edited(edit)).to.deep.equal(expected);
    });
  }

  it('is copied by a test of names, with lower-case names, and as pairs', () => {
    expect(selectHeaders(LIST, (name) => name === 'a')).to.deep.equal(['a', '1', 'a', '2']);
    expect(lowerCaseNames(['A', 'B', 'Set-Cookie', 'C'])).to.deep.equal(['a', 'B', 'set-cookie', 'C']);
    expect(headerPairs(['a', '1', 'b', '2'])).to.deep.equal([
      ['a', '1'],
      ['b', '2'],
    ]);
  });
});
