import { expect } from 'chai';
import { claimHeader, formatNumber } from '../../../src/jwt/claim-header.ts';
import { formatJson } from '../../../src/jwt/format-json.ts';
import { type JsonObject, parseJson } from '../../../src/jwt/parse-json.ts';

const headerOf = (payload: string, path: string): string | undefined => claimHeader(parseJson(payload) as JsonObject, path);
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('claims as headers', () => {
  for (const [payload, path, value] of [
    ['{"a":"text"}', 'a', 'text'],
    ['{"a":{"b":{"c":"deep"}}}', 'a.b.c', 'deep'],
    ['{"a.b":"flat"}', 'a.b', undefined],
    ['{"a":true}', 'a', 'true'],
    ['{"a":false}', 'a', 'false'],
    ['{"a":5}', 'a', '5'],
    ['{"a":1.5}', 'a', '1.500000'],
    ['{"a":null}', 'a', undefined],
    ['{"a":""}', 'a', undefined],
    ['{}', 'a', undefined],
    ['{"a":["b"]}', 'a.0', undefined],
    ['{"a":"b"}', 'a.length', undefined],
    ['{}', 'constructor', undefined],
    ['{}', '__proto__', undefined],
    ['{"a":["x",1]}', 'a', base64('["x",1]')],
    ['{"a":{"b":"<&>"}}', 'a', base64('{"b":"\\u003c&\\u003e"}')],
    ['{"a":"mé"}', 'a', 'm\u00c3\u00a9'],
    ['{"a":"x\\r\\nevil: 1"}', 'a', 'x\r\nevil: 1'],
    ['{"a":"x\\u0000"}', 'a', 'x\0'],
  ] as const) {
    it(`${payload} ${path} is ${value}`, () => {
      expect(headerOf(payload, path)).to.equal(value);
    });
  }

  for (const [value, text] of [
    [0, '0'],
    [-0, '0'],
    [-5, '-5.000000'],
    [-1.25, '-1.250000'],
    [4_733_510_400, '4733510400'],
    [2 ** 53, '9007199254740992'],
    [18_446_744_073_709_549_568, '18446744073709549568'],
    [2 ** 64, '18446744073709551616.000000'],
    [1e20, '100000000000000000000.000000'],
    [1e21, '1000000000000000000000.000000'],
    [-1e21, '-1000000000000000000000.000000'],
    [1e22, '10000000000000000000000.000000'],
    [1e-7, '0.000000'],
  ] as const) {
    it(`writes the number ${value} as ${text}`, () => {
      expect(formatNumber(value)).to.equal(text);
    });
  }

  for (const [json, text] of [
    ['[1, 2]', '[1,2]'],
    ['{"b":1,"a":{"c":null}}', '{"b":1,"a":{"c":null}}'],
    ['[true,false,-0,0]', '[true,false,-0,0]'],
    ['[0.1,1.5,100,-2.25]', '[0.1,1.5,100,-2.25]'],
    ['[123456789012345678900,0.0000001,1e15,1e-5,12345678.9]', '[1.2345678901234568e+20,1e-07,1e+15,1e-05,12345678.9]'],
    ['["\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f\\u2028<>"]', '["\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f\\u2028\\u003c\\u003e"]'],
    ['["é&/\'"]', '["é&/\'"]'],
  ] as const) {
    it(`prints ${json} as ${text}`, () => {
      expect(formatJson(parseJson(json) ?? null)).to.equal(text);
    });
  }
});
