import { expect } from 'chai';
import { pathMistake } from '../../../../src/policy/match/path-mistakes.ts';

describe('pathMistake', () => {
  for (const [value, instead] of [
    ['/straße/*', 'write /stra%C3%9Fe/*'],
    ['/café?x=1', 'write /caf%C3%A9'],
    ['/a b#c', 'write /a%20b'],
    ['/日本/{*}', 'write /%E6%97%A5%E6%9C%AC/{*}'],
    ['/a b', 'write /a%20b'],
    ['/😀', 'write /%F0%9F%98%80'],
    ['^/api/v1/.*$', 'write /api/v1/*'],
    ['/api/.*', 'write /api/*'],
    ['/api/.+', 'write /api/*'],
    ['/api(/.*)', 'write /api/*'],
    ['^/healthz$', 'write /healthz'],
    ['/users/[0-9]+/photo', 'write /users/{*}/photo'],
    ['/users/\\d+/photo', 'write /users/{*}/photo'],
    ['/v[12]/items', 'write a prefix such as /api/*, a template such as /api/{*}/items, or a list of values'],
    ['/(health|ready)', 'list the values: /health, /ready'],
    ['^/(a|b)/c$', 'list the values: /a/c, /b/c'],
    ['/a|/b/c', 'list the values: /a, /b/c'],
    ['^/a|/b$', 'list the values: /a, /b'],
    ['(?i)/admin', 'write /admin'],
    ['(?i)^/admin/.*', 'write /admin/*'],
    ['(?:/a)', 'write a prefix such as /api/*, a template such as /api/{*}/items, or a list of values'],
    ['/api/:id', 'write /api/{*}'],
    ['/api/:id/items/:item', 'write /api/{*}/items/{*}'],
    ['/api/:id/*', 'write /api/{*}/{**}'],
    ['/users/<user id>/x', 'write /users/{*}/x'],
    ['https://shop.example/cart', 'write /cart under paths and shop.example under hosts'],
    ['http://shop.example:8080', 'write / under paths and shop.example:8080 under hosts'],
  ] as const) {
    it(`says of ${value}: ${instead}`, () => {
      expect(pathMistake(value)?.instead).to.equal(instead);
    });
  }

  for (const value of [
    '/a',
    '/a/*',
    '*.html',
    '/a/{*}/b',
    '/{**}',
    '/a.b',
    '/a(b)',
    '/a+b',
    '/stra%C3%9Fe',
    'a',
    '/a$b',
    "/a'b",
    '/~x',
    '/;a=b',
    '/a:b',
    '/v1/items:batch',
    '/:8080/x',
    '/a|b',
    '/a|b)',
    'a|/b)(',
  ]) {
    it(`finds nothing in ${value}`, () => {
      expect(pathMistake(value)).to.equal(undefined);
    });
  }
});
