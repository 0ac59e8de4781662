import { expect } from 'chai';
import { nearestName } from '../../../src/api/nearest-name.ts';

describe('nearestName', () => {
  const known = ['paths', 'notPaths', 'methods', 'hosts', 'ports', 'requestPrincipals'];
  for (const [name, found] of [
    ['path', 'paths'],
    ['Paths', 'paths'],
    ['pahts', 'paths'],
    ['method', 'methods'],
    ['requestPrincipal', 'requestPrincipals'],
    ['request_principals', 'requestPrincipals'],
    ['elephant', undefined],
    ['x', undefined],
  ] as const) {
    it(`finds ${found ?? 'nothing'} for ${name}`, () => {
      expect(nearestName(name, known)).to.equal(found);
    });
  }
});
