import { expect } from 'chai';
import { splitUrl } from '../../../../src/cli/input/split-url.ts';

describe('splitUrl', () => {
  const cases: readonly (readonly [url: string, parts: ReturnType<typeof splitUrl>])[] = [
    ['/a?b=c', { path: '/a?b=c' }],
    ['a', { path: '/a' }],
    ['*', { path: '*' }],
    ['http://h', { host: 'h', path: '/' }],
    ['http://h?b=c', { host: 'h', path: '/?b=c' }],
    ['https://h:8443/a/../%2e#f', { host: 'h:8443', path: '/a/../%2e', port: 8443 }],
    ['http://bob:secret@h/a', { host: 'h', path: '/a' }],
    ['http://[::1]:80/', { host: '[::1]:80', path: '/', port: 80 }],
  ];
  for (const [url, parts] of cases) {
    it(`splits ${url} without decoding or normalizing`, () => {
      expect(splitUrl(url)).to.deep.equal(parts);
    });
  }
});
