/* The small parsers that answer in Go's words: durations, URLs, addresses. */
import { expect } from 'chai';
import { parseGoDuration } from '../../../../src/api/istio/go-duration.ts';
import { parseGoAddress, parseGoPrefix } from '../../../../src/api/istio/go-netip.ts';
import { parseGoUrl } from '../../../../src/api/istio/go-url.ts';

describe('parseGoDuration', () => {
  for (const [text, ms] of [
    ['0', 0],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['100ms', 100],
    ['.5s', 500],
    ['5.s', 5000],
    ['1500us', 1.5],
    ['1µs', 0.001],
    ['-2s', -2000],
    ['+2s', 2000],
  ] as const) {
    it(`reads ${text}`, () => {
      expect(parseGoDuration(text)).to.deep.equal({ kind: 'ok', ms });
    });
  }

  for (const [text, message] of [
    ['apple', 'time: invalid duration "apple"'],
    ['', 'time: invalid duration ""'],
    ['-', 'time: invalid duration "-"'],
    ['.s', 'time: invalid duration ".s"'],
    ['5', 'time: missing unit in duration "5"'],
    ['1s5', 'time: missing unit in duration "1s5"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['5toString', 'time: unknown unit "toString" in duration "5toString"'],
    ['9999999h', 'time: invalid duration "9999999h"'],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(parseGoDuration(text)).to.deep.equal({ kind: 'error', message });
    });
  }
});

describe('parseGoUrl', () => {
  for (const [text, scheme, port] of [
    ['https://a/keys', 'https', ''],
    ['HTTPS://A:8443/keys?x=%zz#y', 'https', '8443'],
    ['http://u:p@[::1]:80/', 'http', '80'],
    ['http://a:/', 'http', ''],
    ['https:opaque', 'https', ''],
    ['foo', '', ''],
    ['*', '', ''],
    ['//host:1/x', '', '1'],
    ['mailto:a b', 'mailto', ''],
  ] as const) {
    it(`takes ${text}`, () => {
      expect(parseGoUrl(text, false)).to.deep.equal({ kind: 'ok', scheme, port });
    });
  }

  for (const [text, reason] of [
    [':x', 'missing protocol scheme'],
    ['a b:c', 'first path segment in URL cannot contain colon'],
    ['https://a:b/', 'invalid port ":b" after host'],
    ['https://[::1/', "missing ']' in host"],
    ['https://a b/', 'invalid character " " in host name'],
    ['https://a%zz/', 'invalid URL escape "%zz"'],
    ['https://a/%z', 'invalid URL escape "%z"'],
    ['x%', 'invalid URL escape "%"'],
    ['https://a\u0007/', 'net/url: invalid control character in URL'],
    ['https://u[@a/', 'net/url: invalid userinfo'],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(parseGoUrl(text, false)).to.deep.equal({ kind: 'error', message: `parse ${JSON.stringify(text)}: ${reason}` });
    });
  }

  it('wants an absolute URL or a path in a request', () => {
    expect(parseGoUrl('foo', true)).to.deep.equal({ kind: 'error', message: 'parse "foo": invalid URI for request' });
    expect(parseGoUrl('', true)).to.deep.equal({ kind: 'error', message: 'parse "": empty url' });
    expect(parseGoUrl('/keys', true)).to.deep.equal({ kind: 'ok', scheme: '', port: '' });
  });
});

describe('parseGoAddress and parseGoPrefix', () => {
  for (const text of ['10.1.2.3', '::', '2001:db8::1', '::ffff:1.2.3.4', 'fe80::1%eth0']) {
    it(`take ${text}`, () => {
      expect(parseGoAddress(text)).to.equal(undefined);
    });
  }
  for (const text of ['10.1.2.3/8', '0.0.0.0/0', '2001:db8::1/32', '::/128']) {
    it(`take ${text}`, () => {
      expect(parseGoPrefix(text)).to.equal(undefined);
    });
  }

  for (const [text, reason] of [
    ['', 'unable to parse IP'],
    ['localhost', 'unable to parse IP'],
    ['1.2.3', 'IPv4 address too short'],
    ['1.2.3.4.5', 'IPv4 address too long'],
    ['1.2.3.256', 'IPv4 field has value >255'],
    ['01.2.3.4', 'IPv4 field has octet with leading zero'],
    ['1..2.3', 'IPv4 field must have at least one digit'],
    ['1.2.3.x', 'unexpected character'],
    ['a%b', 'missing IPv6 address'],
    ['1:2', 'each colon-separated field must be valid'],
  ] as const) {
    it(`refuse ${JSON.stringify(text)}`, () => {
      expect(parseGoAddress(text)).to.equal(`ParseAddr(${JSON.stringify(text)}): ${reason}`);
    });
  }

  for (const [text, reason] of [
    ['1.2.3.4/33', 'prefix length out of range'],
    ['::/129', 'prefix length out of range'],
    ['1.2.3.4/08', 'bad bits after slash: "08"'],
    ['1.2.3.4/', 'bad bits after slash: ""'],
    ['fe80::1%eth0/64', 'IPv6 zones cannot be present in a prefix'],
    ['x/8', 'ParseAddr("x"): unable to parse IP'],
  ] as const) {
    it(`refuse ${text}`, () => {
      expect(parseGoPrefix(text)).to.equal(`netip.ParsePrefix(${JSON.stringify(text)}): ${reason}`);
    });
  }
});
