import { expect } from 'chai';
import { decodeBase64Url } from '../../../src/jwt/base64url.ts';

describe('web-safe base64', () => {
  for (const [text, bytes] of [
    ['', ''],
    ['YQ', 'a'],
    ['YWI', 'ab'],
    ['YWJj', 'abc'],
    ['YQ==', 'a'],
    ['YWI=', 'ab'],
    ['Y Q\t=\n=', 'a'],
    [' YWJj ', 'abc'],
    ['YR', 'a'],
    ['_-8', '\u00ff\u00ef'],
  ] as const) {
    it(`decodes ${JSON.stringify(text)}`, () => {
      expect(decodeBase64Url(text)?.toString('latin1')).to.equal(bytes);
    });
  }

  for (const text of ['Y', 'YWJjY', 'YQ=', 'YQ===', 'YWJj=', 'YWI==', 'Y=Q=', 'a+b/', 'YQ=x', '=', 'é', 'YQ,']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(decodeBase64Url(text)).to.equal(undefined);
    });
  }
});
