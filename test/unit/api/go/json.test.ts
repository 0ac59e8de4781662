/* JSON like Go's encoding/json. */
import { expect } from 'chai';
import { goJsonString, goTypeError, parseFirstJson } from '../../../../src/api/go/json.ts';

describe('parseFirstJson', () => {
  for (const [text, value] of [
    ['{"a":[1,{"b":"}"}]} trailing', { a: [1, { b: '}' }] }],
    [String.raw`  {"a":"\"}"}x`, { a: '"}' }],
    ['\r\n\t[1][2]', [1]],
    ['"x"', 'x'],
    ['null', null],
    ['-1.5e3', -1500],
  ] as const) {
    it(`parses the first value of ${JSON.stringify(text)}`, () => {
      expect(parseFirstJson(text)).to.deep.equal({ kind: 'ok', value });
    });
  }

  for (const [text, message] of [
    ['', 'EOF'],
    [' \n', 'EOF'],
    ['{"a"', 'invalid JSON'],
    ['[1,]', 'invalid JSON'],
    ['hello', "invalid character 'h' looking for beginning of value"],
    ["'x'", String.raw`invalid character '\'' looking for beginning of value`],
    ['é', "invalid character 'Ã' looking for beginning of value"],
    ['nul', 'unexpected EOF'],
    ['falsy', "invalid character 'y' in literal false (expecting 'e')"],
    ['nullx', "invalid character 'x' after top-level value"],
    ['true"', `invalid character '"' after top-level value`],
  ] as const) {
    it(`rejects ${JSON.stringify(text)} with Go's error`, () => {
      expect(parseFirstJson(text)).to.deep.equal({ kind: 'error', message });
    });
  }

  it('limits the nesting of arrays and objects to 10,000', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

    expect(parseFirstJson(nested(10_000)).kind).to.equal('ok');
    expect(parseFirstJson(nested(10_001))).to.deep.equal({ kind: 'error', message: 'exceeded max depth' });
  });
});

describe('goJsonString', () => {
  it('escapes characters that are unsafe in HTML, and lone surrogates', () => {
    expect(goJsonString('<a>&"\u2028\ud800')).to.equal('"\\u003ca\\u003e\\u0026\\"\\u2028\ufffd"');
  });
});

describe('goTypeError', () => {
  it('names JSON types like Go', () => {
    const types = [null, true, 1, 'x', [], {}].map((value) => /unmarshal (\w+) into Go value of type T/.exec(goTypeError(value, 'T'))?.[1]);

    expect(types).to.deep.equal(['null', 'bool', 'number', 'string', 'array', 'object']);
  });
});
