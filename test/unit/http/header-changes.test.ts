import { expect } from 'chai';
import { changeHeaders, type HeaderChange } from '../../../src/http/header-changes.ts';

describe('changing the headers of a response', () => {
  const headers = ['a', '1', 'b', '2', 'a', '3'];
  const cases: readonly (readonly [HeaderChange['how'], string, readonly string[]])[] = [
    ['add', 'a', ['a', '1', 'b', '2', 'a', '3', 'a', 'x']],
    ['set', 'a', ['b', '2', 'a', 'x']],
    ['set', 'c', ['a', '1', 'b', '2', 'a', '3', 'c', 'x']],
    ['add-if-absent', 'a', headers],
    ['add-if-absent', 'c', ['a', '1', 'b', '2', 'a', '3', 'c', 'x']],
    ['set-if-present', 'a', ['b', '2', 'a', 'x']],
    ['set-if-present', 'c', headers],
    ['set', 'transfer-encoding', headers],
    ['add', 'date', headers],
    ['add', ':status', headers],
  ];
  for (const [how, header, expected] of cases) {
    it(`applies ${how} of ${header}`, () => {
      expect(changeHeaders(headers, [{ how, name: header, value: 'x' }])).to.deep.equal(expected);
    });
  }
});
