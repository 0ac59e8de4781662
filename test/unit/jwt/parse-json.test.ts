import { expect } from 'chai';
import { MAX_JSON_DEPTH, parseJson, parseJsonObject } from '../../../src/jwt/parse-json.ts';

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('strict JSON', () => {
  for (const text of [
    'null',
    'true',
    'false',
    '0',
    '-0',
    '1.5e+3',
    '""',
    '"a\\"b\\\\c\\/\\b\\f\\n\\r\\t"',
    '"\\u0041\\u00e9\\ud83d\\ude00"',
    '"\\u0000"',
    '[]',
    '[1, [2], {}]',
    '{}',
    ' { "a" : [ true , null ] ,\n"b":{"c":"d"} } ',
    '{"constructor":1,"toString":{"__proto__":2}}',
    '"mé😀"',
    nested(MAX_JSON_DEPTH),
  ]) {
    it(`reads ${text.slice(0, 60)} as JSON.parse does`, () => {
      expect(JSON.stringify(parseJson(text))).to.equal(JSON.stringify(JSON.parse(text)));
    });
  }

  for (const text of [
    '',
    ' ',
    '{',
    '[',
    '"',
    '"\\',
    '"\\x"',
    '"\\u12"',
    '"\\u12g4"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"a\nb"',
    '"\u0001"',
    "'a'",
    '{a:1}',
    '{"a":1,}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '[1,]',
    '[1 2]',
    '[1}',
    '{]',
    '01',
    '+1',
    '1.',
    '.5',
    '1e',
    '0x10',
    'NaN',
    'Infinity',
    '1e400',
    'True',
    'nul',
    '{} x',
    '// c\n{}',
    '\ufeff{}',
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"b":{"c":1,"c":1}}',
    nested(MAX_JSON_DEPTH + 1),
    nested(50_000),
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(parseJson(text)).to.equal(undefined);
    });
  }

  it('reads __proto__ as an ordinary member', () => {
    const value = parseJsonObject(Buffer.from('{"__proto__":{"admin":true}}'));

    expect(Object.keys(value ?? {})).to.deep.equal(['__proto__']);
    expect(value?.['admin']).to.equal(undefined);
    expect(value?.['toString']).to.equal(undefined);
  });

  it('reads null as an empty object', () => {
    expect(Object.keys(parseJsonObject(Buffer.from('null')) ?? { no: 1 })).to.deep.equal([]);
  });

  for (const [name, bytes] of [
    ['a list', Buffer.from('["iss"]')],
    ['a string', Buffer.from('"iss"')],
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ] as const) {
    it(`finds no object in ${name}`, () => {
      expect(parseJsonObject(bytes)).to.equal(undefined);
    });
  }
});
