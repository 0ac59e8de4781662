import { expect } from 'chai';
import { createAddressGuard } from '../../../src/jwks/address-guard.ts';

describe('address guard', () => {
  const guard = createAddressGuard(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);

  const blocked: readonly (readonly [address: string, reason: string])[] = [
    ['169.254.169.254', 'link-local'],
    ['169.254.0.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['100.100.100.200', 'metadata service'],
    ['fd00:ec2::254', 'metadata service'],
    ['::ffff:169.254.169.254', 'link-local'],
    ['::ffff:a9fe:a9fe', 'link-local'],
    ['::a9fe:a9fe', 'link-local'],
    ['64:ff9b::a9fe:a9fe', 'link-local'],
    ['2002:a9fe:a9fe::1', 'link-local'],
    ['::ffff:100.100.100.200', 'metadata service'],
    ['10.1.2.3', 'in blocked range 10.0.0.0/8'],
    ['::ffff:10.1.2.3', 'in blocked range 10.0.0.0/8'],
    ['192.0.2.7', 'in blocked range 192.0.2.7'],
    ['2001:db8::1', 'in blocked range 2001:db8::/32'],
    ['', 'not an IP address'],
    ['idp.example', 'not an IP address'],
  ];
  for (const [address, reason] of blocked) {
    it(`forbids ${address === '' ? 'an empty string' : address}`, () => {
      expect(guard(address)).to.equal(reason);
    });
  }

  for (const address of [
    '127.0.0.1',
    '::1',
    '192.0.2.8',
    '100.100.100.201',
    '169.253.255.255',
    '2606:4700::1111',
    'fd00:ec3::1',
    '::ffff:8.8.8.8',
  ]) {
    it(`allows ${address}`, () => {
      expect(guard(address)).to.equal(undefined);
    });
  }

  for (const range of ['10.0.0.0/33', 'nonsense', '10.0.0.0/x', '']) {
    it(`rejects "${range}" as a range`, () => {
      expect(() => createAddressGuard([range]))
        .to.throw(`"${range}" is not a CIDR block or IP address`)
        .with.property('code', 'SP_CONFIG');
    });
  }
});
