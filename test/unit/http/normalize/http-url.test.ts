/*
 * URLs in requests; all rows were observed on Envoy 1.40.0.
 */
import { expect } from 'chai';
import { isHostAndPort, isValidReferer, parseHttpUrl } from '../../../../src/http/normalize/http-url.ts';

describe('an absolute URL', () => {
  it('is split into its parts', () => {
    expect(parseHttpUrl('Http://u:p@A.b:8080/x?y#z')).to.deep.equal({
      scheme: 'Http',
      authority: 'A.b:8080',
      pathAndQuery: '/x?y#z',
      hasUserinfo: true,
      hasFragment: true,
    });
    expect(parseHttpUrl('h1+.-://[::1]')).to.deep.equal({
      scheme: 'h1+.-',
      authority: '[::1]',
      pathAndQuery: '/',
      hasUserinfo: false,
      hasFragment: false,
    });
  });

  const refused = [
    '',
    'a',
    '://a',
    '1a://b',
    'http:/a',
    'http://',
    'http:///x',
    'http://a_b/',
    'http://a b',
    'http://a/ b',
    'http://a/\u00e9',
    'http://u[@a/',
    'http://a@b@c',
  ];
  for (const text of refused) {
    it(`does not parse ${JSON.stringify(text)}`, () => {
      expect(parseHttpUrl(text)).to.equal(undefined);
    });
  }

  const hosts: readonly (readonly [string, boolean])[] = [
    ['a', true],
    ['a-b.c:0', true],
    ['a:65535', true],
    ['a:65536', false],
    ['a:', false],
    ['a:8x', false],
    [':80', false],
    ['', false],
    ['a_b', false],
    ['[::1]', true],
    ['[1.2.3.4]:80', true],
    ['[zz]', false],
    ['[]', false],
    ['[::1', false],
    ['[::1]x', false],
    ['[::1]:', false],
  ];
  for (const [text, valid] of hosts) {
    it(`${valid ? 'accepts' : 'refuses'} the authority ${JSON.stringify(text)}`, () => {
      expect(isHostAndPort(text)).to.equal(valid);
    });
  }
});

describe('Referer', () => {
  const stays = [
    'http://a/',
    'a',
    '/x',
    '1,2',
    '',
    '//a:99999',
    'a/b:c',
    'http://a/#',
    'http://@a/',
    'http://a/@b',
    'android-app://com.google',
    '?x',
    '%',
    '//u@a',
  ];
  const goes = [
    'http://',
    'http://a b',
    'about:blank',
    'http://u@a/',
    'http://a/#x',
    'x:',
    '1:2',
    'a?b:c',
    '/\u00e9',
    'x#y',
    '\\',
    'http://a:99999/',
  ];
  for (const value of stays) {
    it(`is kept when it is ${JSON.stringify(value)}`, () => {
      expect(isValidReferer(value)).to.equal(true);
    });
  }
  for (const value of goes) {
    it(`is removed when it is ${JSON.stringify(value)}`, () => {
      expect(isValidReferer(value)).to.equal(false);
    });
  }
});
