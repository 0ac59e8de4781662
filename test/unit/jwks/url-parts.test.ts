import { expect } from 'chai';
import { hostOf, portOf } from '../../../src/jwks/url-parts.ts';

describe('parts of a URL', () => {
  const cases: readonly (readonly [url: string, host: string, port: string])[] = [
    ['http://keys.example/', 'keys.example', '80'],
    ['https://keys.example/', 'keys.example', '443'],
    ['https://keys.example:80/', 'keys.example', '80'],
    ['http://[2001:db8::1]/', '2001:db8::1', '80'],
    ['https://[::1]:8443/', '::1', '8443'],
    ['http://192.0.2.7:8080/', '192.0.2.7', '8080'],
  ];
  for (const [url, host, port] of cases) {
    it(`dials host ${host} and port ${port} for ${url}`, () => {
      expect([hostOf(new URL(url)), portOf(new URL(url))]).to.deep.equal([host, port]);
    });
  }
});
