import { expect } from 'chai';
import { extractTokens, tokenInHeader } from '../../../src/jwt/extract-tokens.ts';
import { provider, requestWith } from './tokens.ts';

describe('token extraction', () => {
  for (const [value, token] of [
    ['Bearer x.y.z', 'x.y.z'],
    ['Bearer   x.y.z', 'x.y.z'],
    ['Bearer "x.y.z', 'x.y.z'],
    ['Basic Bearer x.y.z', 'x.y.z'],
    ['Foo, Bearer x.y.z', 'x.y.z'],
    ['Bearer x.y.z,foo', 'x.y.z,foo'],
    ['Bearer A,Bearer B', 'A,Bearer B'],
    ['Bearer ,,,', 'Bearer ,,,'],
    ['bearer x.y.z', undefined],
    ['Basic abc', undefined],
    ['Bearer', undefined],
    ['', undefined],
  ] as const) {
    it(`finds ${token ?? 'nothing'} in "${value}"`, () => {
      expect(tokenInHeader(value, 'Bearer ')).to.equal(token);
    });
  }

  it('takes the whole value when there is no prefix, even an empty one', () => {
    expect(tokenInHeader('', '')).to.equal('');
    expect(tokenInHeader('a b', '')).to.equal('a b');
  });

  it('finds headers, then parameters, then cookies, each in the order of the locations', () => {
    const rule = provider({
      headers: [
        { name: 'x-a', prefix: '' },
        { name: 'x-b', prefix: 'P ' },
      ],
      params: ['p', 'q'],
      cookies: ['c', 'd'],
    });
    const request = requestWith(
      ['x-b', 'P 2', 'cookie', 'd=6; c="5"; c=no', 'x-a', '0', 'x-b', 'other', 'x-a', '1', 'cookie', 'd=no; e'],
      '/path?q=4&p=3&p=no',
    );

    expect(extractTokens(rule, request).map(({ text, place, name }) => `${place} ${name} ${text}`)).to.deep.equal([
      'header x-a 0',
      'header x-a 1',
      'header x-b 2',
      'parameter p 3',
      'parameter q 4',
      'cookie c 5',
      'cookie d 6',
    ]);
  });

  for (const [name, prefix, found] of [
    ['host', '', ['app.foo:8000']],
    [':authority', 'app.', ['foo:8000']],
    [':path', '/pa', ['th']],
    [':path', '/other', []],
    [':method', '', ['GET']],
    [':scheme', '', ['http']],
    [':protocol', '', []],
  ] as const) {
    it(`finds ${JSON.stringify(found)} in ${name} after ${JSON.stringify(prefix)}`, () => {
      const rule = provider({ headers: [{ name, prefix }], params: [], cookies: [] });
      expect(extractTokens(rule, requestWith([])).map(({ text }) => text)).to.deep.equal(found);
    });
  }

  for (const [cookie, token] of [
    ['t=a', 'a'],
    ['  t=a', 'a'],
    ['t =a', undefined],
    ['T=a', undefined],
    ['t', undefined],
    ['t=', ''],
    ['t="a"', 'a'],
    ['t="a', '"a'],
    ['t="', '"'],
    ['t=""', ''],
    ['x=1;t=a ', 'a '],
    ['t=a=b', 'a=b'],
  ] as const) {
    it(`finds ${JSON.stringify(token)} in cookie ${JSON.stringify(cookie)}`, () => {
      const tokens = extractTokens(provider({ headers: [], params: [], cookies: ['t'] }), requestWith(['cookie', cookie]));

      expect(tokens.map(({ text }) => text)).to.deep.equal(token === undefined ? [] : [token]);
    });
  }

  it('finds nothing in a request without tokens', () => {
    expect(extractTokens(provider({ cookies: ['t'] }), requestWith(['accept', '*/*'], '/?a=b'))).to.deep.equal([]);
  });
});
