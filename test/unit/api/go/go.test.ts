/* Parsers that behave like Go's and return its error texts: durations, URLs, addresses. */
import { expect } from 'chai';
import { parseGoDuration } from '../../../../src/api/go/duration.ts';
import { parseGoAddress, parseGoPrefix } from '../../../../src/api/go/netip.ts';
import { goQuote } from '../../../../src/api/go/quote.ts';
import { parseGoUrl } from '../../../../src/api/go/url.ts';

describe('parseGoDuration', () => {
  for (const [text, ns] of [
    ['0', 0n],
    ['5s', 5_000_000_000n],
    ['1m30s', 90_000_000_000n],
    ['1.5h', 5_400_000_000_000n],
    ['100ms', 100_000_000n],
    ['.5s', 500_000_000n],
    ['5.s', 5_000_000_000n],
    ['1500us', 1_500_000n],
    ['1µs', 1000n],
    ['-2s', -2_000_000_000n],
    ['+2s', 2_000_000_000n],
    ['9223372036854775807ns', 9_223_372_036_854_775_807n],
    ['-9223372036854775808ns', -9_223_372_036_854_775_808n],
    ['1.00000000000000000000000001ms', 1_000_000n],
  ] as const) {
    it(`parses ${text}`, () => {
      expect(parseGoDuration(text)).to.deep.equal({ kind: 'ok', ns });
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
    ['9223372036854775808ns', 'time: invalid duration "9223372036854775808ns"'],
    ['18446744073709551616ns', 'time: invalid duration "18446744073709551616ns"'],
    ['é"', String.raw`time: invalid duration "\xc3\xa9\""`],
  ] as const) {
    it(`rejects ${JSON.stringify(text)}`, () => {
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
    it(`accepts ${text}`, () => {
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
    ['https://a:1:2/', 'invalid port ":1:2" after host'],
    ['https://[1.2.3.4]/', 'invalid IP-literal'],
    ['https://a[/', 'invalid IP-literal'],
    ['https://[a]/', 'invalid host: ParseAddr("a"): unable to parse IP'],
    ['https://a%41/', 'invalid URL escape "%41"'],
    ['https://[::1%25%00]/', 'invalid URL escape "%00"'],
    ['https://a/%💥', String.raw`invalid URL escape "%\xf0\x9f"`],
    ['https://u:%zz@a/', 'invalid URL escape "%zz"'],
  ] as const) {
    it(`rejects ${JSON.stringify(text)}`, () => {
      expect(parseGoUrl(text, false)).to.deep.equal({ kind: 'error', message: `parse ${goQuote(text)}: ${reason}` });
    });
  }

  it('rejects invalid escapes in the fragment, too', () => {
    expect(parseGoUrl('https://a#%zz', false)).to.deep.equal({ kind: 'error', message: 'parse "https://a#%zz": invalid URL escape "%zz"' });
    expect(parseGoUrl('https://a:x#y', false)).to.deep.equal({
      kind: 'error',
      message: 'parse "https://a:x": invalid port ":x" after host',
    });
  });

  it('requires an absolute URL or a path when parsing a request URI', () => {
    expect(parseGoUrl('foo', true)).to.deep.equal({ kind: 'error', message: 'parse "foo": invalid URI for request' });
    expect(parseGoUrl('', true)).to.deep.equal({ kind: 'error', message: 'parse "": empty url' });
    expect(parseGoUrl('/keys', true)).to.deep.equal({ kind: 'ok', scheme: '', port: '' });
  });
});

describe('parseGoAddress and parseGoPrefix', () => {
  for (const text of ['10.1.2.3', '::', '2001:db8::1', '::ffff:1.2.3.4', 'fe80::1%eth0']) {
    it(`accept ${text}`, () => {
      expect(parseGoAddress(text)).to.equal(undefined);
    });
  }
  for (const text of ['10.1.2.3/8', '0.0.0.0/0', '2001:db8::1/32', '::/128']) {
    it(`accept ${text}`, () => {
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
    ['1..2.3', 'IPv4 field must have at least one digit (at ".2.3")'],
    ['1.2.3.x', 'unexpected character (at "x")'],
    ['a%b', 'missing IPv6 address'],
    ['1:2', 'address string too short'],
    ['::1%', 'zone must be a non-empty string'],
    ['12345::', 'each group must have 4 or less digits (at "12345::")'],
    ['g::', 'each colon-separated field must have at least one digit (at "g::")'],
    ['1:1.2.3.4', 'embedded IPv4 address must replace the final 2 fields of the address (at "1.2.3.4")'],
    ['::1:2:3:4:5:6:7:1.2.3.4', 'too many hex fields to fit an embedded IPv4 at the end of the address (at "1.2.3.4")'],
    ['1::2::3', 'multiple :: in address (at ":3")'],
    ['1:x', 'each colon-separated field must have at least one digit (at "x")'],
    ['1x:', 'unexpected character, want colon (at "x:")'],
    ['1:', 'colon must be followed by more characters (at ":")'],
    ['1:2:3:4:5:6:7:8:9', 'trailing garbage after address (at "9")'],
    ['1:2:3:4::5:6:7:8', 'the :: must expand to at least one field of zeros'],
  ] as const) {
    it(`reject ${JSON.stringify(text)}`, () => {
      expect(parseGoAddress(text)).to.equal(`ParseAddr(${JSON.stringify(text)}): ${reason}`);
    });
  }

  for (const [text, reason] of [
    ['1.2.3.4/33', 'prefix length out of range'],
    ['::/129', 'prefix length out of range'],
    ['1.2.3.4/08', 'bad bits after slash: "08"'],
    ['1.2.3.4/', 'bad bits after slash: ""'],
    ['1.2.3.4/99999999999999999999', 'bad bits after slash: "99999999999999999999"'],
    ['fe80::1%eth0/64', 'IPv6 zones cannot be present in a prefix'],
    ['x/8', 'ParseAddr("x"): unable to parse IP'],
  ] as const) {
    it(`reject ${text}`, () => {
      expect(parseGoPrefix(text)).to.equal(`netip.ParsePrefix(${JSON.stringify(text)}): ${reason}`);
    });
  }
});

describe('goQuote', () => {
  for (const [text, quoted] of [
    ['a"b\\', String.raw`"a\"b\\"`],
    ['\u0007\b\f\n\r\t\v', String.raw`"\a\b\f\n\r\t\v"`],
    ['\u0000\u007f', String.raw`"\x00\x7f"`],
    ['\u0085\u00a0\u00ad\u200b\u2028', String.raw`"\u0085\u00a0\u00ad\u200b\u2028"`],
    ['é 💥 <&>', '"é 💥 <&>"'],
    ['\u{e0001}', String.raw`"\U000e0001"`],
    ['\ud800', '"\ufffd"'],
  ] as const) {
    it(`quotes ${JSON.stringify(text)} as Go does`, () => {
      expect(goQuote(text)).to.equal(quoted);
    });
  }
});
