import { expect } from 'chai';
import { encodeQuery, percentDecode, queryParameter, withoutQueryParameter } from '../../../src/jwt/query.ts';

describe('query strings', () => {
  for (const [target, name, value] of [
    ['/p?access_token=a.b.c', 'access_token', 'a.b.c'],
    ['/p?x=1&access_token=a&access_token=b', 'access_token', 'a'],
    ['/p?access_token', 'access_token', ''],
    ['/p?access_token=', 'access_token', ''],
    ['/p?access%5Ftoken=a%2Eb', 'access_token', 'a.b'],
    ['/p?t=a+b%2B', 't', 'a+b+'],
    ['/p?t=a=b', 't', 'a=b'],
    ['/p?t=%zz%2', 't', '%zz%2'],
    ['/p?Access_Token=a', 'access_token', undefined],
    ['/p?', 't', undefined],
    ['/p', 't', undefined],
    ['/p?a?t=1', 't', undefined],
  ] as const) {
    it(`${target}: ${name} is ${JSON.stringify(value)}`, () => {
      expect(queryParameter(target, name)).to.equal(value);
    });
  }

  for (const [target, name, rest] of [
    ['/p?t=T', 't', '/p'],
    ['/p?t=T&t=U', 't', '/p'],
    ['/p?b=2&t=T&a=1', 't', '/p?a=1&b=2'],
    ['/p?t=T&b=2&b=1&B=3', 't', '/p?B=3&b=2&b=1'],
    ['/p?t=T&&q', 't', '/p?=&q='],
    ['/p?t=T&', 't', '/p'],
    ['/p?t=T&a=%2B+', 't', '/p?a=++'],
    ['/p?t=T&a=%41%zz', 't', '/p?a=A%zz'],
    ['/p?access_token=T&b=2&a=%20x', 'access_token', '/p?a=%20x&b=2'],
    ['/p?t=T&a=%0d%0aX: y%23%ff%00%7F', 't', '/p?a=%0D%0AX:%20y%23%FF%00%7F'],
    ['/p?t=T&%0a=1', 't', '/p?%0A=1'],
  ] as const) {
    it(`${target} without ${name} is ${rest}`, () => {
      expect(encodeQuery(withoutQueryParameter(target, name))).to.equal(rest);
    });
  }

  it('is escaped with two digits for every byte', () => {
    expect(encodeQuery('/p?a=\t\x01\xff')).to.equal('/p?a=%09%01%FF');
    expect(encodeQuery('/p')).to.equal('/p');
    expect(encodeQuery('/\xe4?a=\xe4?\xe4')).to.equal('/\xe4?a=%E4?%E4');
  });

  it('decodes once', () => {
    expect(percentDecode('%2541')).to.equal('%41');
  });
});
