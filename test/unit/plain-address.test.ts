/* Addresses of sockets as policies and pods have them. */
import { expect } from 'chai';
import { plainAddress } from '../../src/plain-address.ts';

describe('plainAddress', () => {
  for (const [address, plain] of [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::ffff:a00:1', '::ffff:a00:1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::1', '::1'],
    ['', ''],
  ] as const) {
    it(`turns ${JSON.stringify(address)} into ${JSON.stringify(plain)}`, () => {
      expect(plainAddress(address)).to.equal(plain);
    });
  }
});
