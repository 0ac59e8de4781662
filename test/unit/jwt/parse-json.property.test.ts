/* The strict parser against JSON.parse: it never accepts what JSON.parse refuses, and returns the same value otherwise. */
import { expect } from 'chai';
import fc from 'fast-check';
import { parseJson } from '../../../src/jwt/parse-json.ts';
import { parseToken } from '../../../src/jwt/parse-token.ts';

function platform(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    // JSON.parse refuses it.
    return undefined;
  }
}

const latin1 = fc.array(fc.integer({ min: 0, max: 255 })).map((codes) => String.fromCharCode(...codes));

describe('strict JSON, for any string', () => {
  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.stringify(parseJson(text))).to.equal(platform(text));
      }),
    );
  });

  it('accepts nothing that JSON.parse refuses', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      'u0041',
      'a',
      '0',
      '1',
      '-',
      '.',
      'e',
      '+',
      'true',
      'null',
      ' ',
      '\n',
      '\u0001',
      '\ud800',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (chosen) => {
        const text = chosen.join('');
        const ours = parseJson(text);
        if (ours !== undefined) {
          expect(JSON.stringify(ours)).to.equal(platform(text));
        }
      }),
      { numRuns: 5000 },
    );
  });

  it('never throws, whatever the token is', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(latin1, fc.base64String(), fc.constantFrom('.', 'eyJhbGciOiJSUzI1NiJ9', '=', ' '))), (parts) => {
        expect(typeof parseToken(parts.join('.'))).to.be.oneOf(['string', 'object']);
      }),
    );
  });
});
