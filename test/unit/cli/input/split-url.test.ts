import { expect } from 'chai';
import { splitUrl } from '../../../../src/cli/input/split-url.ts';

describe('splitUrl', () => {
  const cases: readonly (readonly [url: string, parts: ReturnType<typeof splitUrl>])[] = [
    ['/a?b=c', { path: '/a?b=c' }],
    ['a', { path: '/a' }],
    ['*', { path: '*' }],
    ['http://h', { host: 'h', path: '/', dialed: { port: 80, isExplicit: false } }],
    ['http://h?b=c', { host: 'h', path: '/?b=c', dialed: { port: 80, isExplicit: false } }],
    ['HTTPS://h/', { host: 'h', path: '/', dialed: { port: 443, isExplicit: false } }],
    ['https://h:8443/a/../%2e#f', { host: 'h:8443', path: '/a/../%2e', dialed: { port: 8443, isExplicit: true } }],
    ['http://bob:secret@h/a', { host: 'h', path: '/a', dialed: { port: 80, isExplicit: false } }],
    ['http://[::1]:80/', { host: '[::1]:80', path: '/', dialed: { port: 80, isExplicit: true } }],
  ];
  for (const [url, parts] of cases) {
    it(`splits ${url} without decoding or normalizing`, () => {
      expect(splitUrl(url)).to.deep.equal(parts);
    });
  }
});
