/*
 * Path normalization; every row was observed on Envoy 1.40.0.
 */
import { expect } from 'chai';
import type { PathNormalization } from '../../../../src/api/mesh-config.ts';
import { normalizePath } from '../../../../src/http/normalize/normalize-path.ts';

const ROWS: Readonly<Record<PathNormalization, readonly (readonly [string, string | undefined])[]>> = {
  NONE: [
    ['/a/../b//%2f', '/a/../b//%2f'],
    ['/a#b', '/a'],
    ['/a?x#b', '/a?x'],
    ['/..;/%00', '/..;/%00'],
  ],
  BASE: [
    ['/', '/'],
    ['/a/b-c_d.e~f;g=h?q=1', '/a/b-c_d.e~f;g=h?q=1'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/../../b', '/b'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a/..', '/'],
    ['/a/.', '/a/'],
    ['/a/%2e', '/a/'],
    ['/a//b', '/a//b'],
    ['/a//../b', '/a/b'],
    ['/a\\b', '/a/b'],
    ['/a/..\\b', '/b'],
    ['/a/...', '/a/...'],
    ['/.hidden', '/.hidden'],
    ['/a%2ehidden', '/a.hidden'],
    ['/a/.%2ex', '/a/..x'],
    ['/%41%7e%5f%2d%2D', '/A~_--'],
    ['/%20%3f%23', '/%20%3f%23'],
    ['/a%2fb', '/a%2fb'],
    ['/a%5Cb', '/a%5Cb'],
    ['/..%2fadmin', '/..%2fadmin'],
    ['/a"b<>^`{}[]|', '/a%22b%3C%3E%5E%60%7B%7D[]%7C'],
    ['/a%2541', '/a%2541'],
    ['/a%', '/a%'],
    ['/a%zz', '/a%zz'],
    ['/a%2', '/a%2'],
    ['/a#frag?x=1', '/a'],
    ['/a?x=/../y#f', '/a?x=/../y'],
    ['/a?x=%41', '/a?x=%41'],
    ['/%%30%30', '/%2500'],
    ['/%%41%42', '/%25AB'],
    ['/%%41B', '/%25AB'],
    ['/%%41', '/%A'],
    ['/%%41x', '/%Ax'],
    ['/%%7a', '/%z'],
    ['/%/../a%41', '/aA'],
    ['/xyz/AAAAA%%0000', undefined],
    ['/%00', undefined],
    ['/a\u0000', undefined],
    ['/\u00e9 \u0001', '/%E9%20%01'],
    ['/x/..;/y', '/y'],
    ['/x/.;a/y', '/x/y'],
    ['/x/..;', '/'],
    ['/x/%2e%2e;/y', '/x/..;/y'],
    ['/x/..%3b/y', '/x/..%3b/y'],
    ['/x\\..;/y', '/x/..;/y'],
    ['/x/a.;b', '/x/a.;b'],
  ],
  MERGE_SLASHES: [
    ['//x//..;/y', '/x/y'],
    ['/a//b///c//?//', '/a/b/c/?//'],
    ['//', '//'],
    ['/a%2F%2fb', '/a%2F%2fb'],
    ['/a/./b"', '/a/b%22'],
  ],
  DECODE_AND_MERGE_SLASHES: [
    ['/a%2F%2fb', '/a/b'],
    ['/a%5cb%5C', '/a/b/'],
    ['/a/%2f../b', '/a/b'],
    ['/a%2f..%2fb', '/b'],
    ['/a?%2f', '/a?%2f'],
    ['/a%252Fb', '/a%252Fb'],
    ['/a%252fb%255C%255c', '/a%252fb%255C%255c'],
    ['/a/%252e%252e%252fb', '/a/%252e%252e%252fb'],
    ['/a%25252Fb', '/a%25252Fb'],
    ['/a%2%46b', '/a%252Fb'],
  ],
};

describe('path normalization', () => {
  for (const [mode, rows] of Object.entries(ROWS) as [PathNormalization, (typeof ROWS)['BASE']][]) {
    for (const [target, wanted] of rows) {
      it(`turns ${JSON.stringify(target)} into ${JSON.stringify(wanted)} when the mode is ${mode}`, () => {
        expect(normalizePath(target, mode)).to.equal(wanted);
      });
    }
  }

  it('handles paths longer than the argument limit of one call', () => {
    const long = `/${'a'.repeat(10_000)}/./b`;
    expect(normalizePath(long, 'BASE')).to.equal(long.replace('/./', '/'));
  });
});
