import { expect } from 'chai';
import { redactSecrets, redactValue } from '../../../src/explain/redact.ts';

const TOKEN = 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJtZSJ9.c2lnbmF0dXJl';

describe('redactSecrets', () => {
  const cases: readonly (readonly [name: string, text: string, redacted: string])[] = [
    ['a token', `/x?a=${TOKEN}&b=c`, '/x?a=eyJhbGci…&b=c'],
    ['several tokens', `${TOKEN} ${TOKEN}`, 'eyJhbGci… eyJhbGci…'],
    ['an encrypted token', `${TOKEN}.a.b`, 'eyJhbGci…'],
    ['basic credentials', 'Basic Ym9iOnNlY3JldA==', 'Basic …'],
    ['an opaque bearer token', 'bearer abc.def', 'bearer …'],
    ['a bearer token, which stays recognizable', `Bearer ${TOKEN}`, 'Bearer eyJhbGci…'],
    ['a secret query parameter', '/x?client_secret=abc&page=2&API_KEY=def', '/x?client_secret=…&page=2&API_KEY=…'],
    ['text without secrets, which stays unchanged', '/x?page=2&tokens=3', '/x?page=2&tokens=3'],
  ];
  for (const [name, text, redacted] of cases) {
    it(`redacts ${name}`, () => {
      expect(redactSecrets(text)).to.equal(redacted);
    });
  }
});

describe('redactValue', () => {
  const cases: readonly (readonly [name: string, path: string, saw: string, redacted: string])[] = [
    ['cuts the whole value of a secret header', 'when[0] request.headers[X-Api-Key]', 'abcdefgh', 'abcd…'],
    ['keeps a secret header that is absent', 'when[0] request.headers[authorization]', 'absent', 'absent'],
    ['keeps a secret header that is empty', 'when[0] request.headers[authorization]', 'empty', 'empty'],
    ['keeps the scheme of credentials', 'when[0] request.headers[authorization]', 'Basic Ym9i', 'Basic …'],
    ['cuts the values of cookies and keeps their names', 'when[0] request.headers[cookie]', 'a=b; c=d', 'a=…; c=…'],
    ['keeps other headers', 'when[0] request.headers[x-tenant]', 'red', 'red'],
    ['cuts a token in another header', 'when[0] request.headers[x-tenant]', TOKEN, 'eyJhbGci…'],
    ['keeps other attributes', 'to[0].operation.paths', '/a', '/a'],
  ];
  for (const [name, path, saw, redacted] of cases) {
    it(name, () => {
      expect(redactValue(path, saw)).to.equal(redacted);
    });
  }
});
