import { expect } from 'chai';
import { codecHint } from '../../../../src/cli/input/codec-hint.ts';

describe('codecHint', () => {
  const cases: readonly (readonly [head: string, hint: string | undefined])[] = [
    ['', 'the request is empty'],
    ['GET /x HTTP/1.0', 'the request line has HTTP/1.0: write HTTP/1.1'],
    ['GET /x HTTP/2', 'the request line has HTTP/2: write HTTP/1.1'],
    ['GET /x', 'the request line has no version: write GET /x HTTP/1.1'],
    ['GET  /x HTTP/1.1', 'the first line must be METHOD TARGET HTTP/1.1, separated by single spaces'],
    ['GET /ü HTTP/1.1', 'the target has characters that must be percent-encoded'],
    ['GET /x HTTP/1.1\r\nHost: a\r\nno header', 'line 3 is not a header: expected Name: value'],
    ['GET /x HTTP/1.1\r\nHost : a', 'line 2 is not a header: expected Name: value'],
    ['GET /x HTTP/1.1\r\nHost: a', undefined],
  ];
  for (const [head, hint] of cases) {
    it(`returns ${hint ?? 'undefined'} for ${JSON.stringify(head)}`, () => {
      expect(codecHint(`${head}\r\n\r\n`)).to.equal(hint);
    });
  }
});
