/*
 * remote.ip; all rows were observed on Envoy 1.40.0.
 */
import { expect } from 'chai';
import { remoteAddress } from '../../../../src/http/normalize/remote-address.ts';

describe('the remote address', () => {
  const rows: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'peer'],
    ['', 'peer'],
    ['1.1.1.1', '1.1.1.1'],
    ['1.1.1.1, 10.9.9.9', '10.9.9.9'],
    ['1.1.1.1,\t 10.9.9.9 ', '10.9.9.9'],
    ['1.2.3.4,,10.9.9.9', '10.9.9.9'],
    ['10.9.9.9,', 'peer'],
    ['10.9.9.9, unknown', 'peer'],
    ['10.9.9.9:80', 'peer'],
    ['[2001:db8::1]', 'peer'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:10.9.9.9', '::ffff:10.9.9.9'],
    ['010.9.9.9', 'peer'],
    ['10.9.9', 'peer'],
    ['fe80::1%1', 'fe80::1'],
    ['2001:db8::1%007', '2001:db8::1'],
    ['fe80::1%4294967295', 'fe80::1'],
    ['fe80::1%4294967296', 'peer'],
    ['fe80::1%lo', 'fe80::1'],
    ['febf::1%lo', 'febf::1'],
    ['ff02::1%lo', 'ff02::1'],
    ['ff11::1%lo', 'ff11::1'],
    ['fec0::1%lo', 'peer'],
    ['ff03::1%lo', 'peer'],
    ['2001:db8::1%lo', 'peer'],
    ['::1%lo', 'peer'],
    ['fe80::1%LO', 'peer'],
    ['fe80::1%lo:1', 'fe80::1'],
    ['fe80::1%lo:', 'fe80::1'],
    ['fe80::1%lo:123456789012', 'fe80::1'],
    ['fe80::1%lo:1234567890123', 'peer'],
    ['fe80::1%:lo', 'peer'],
    ['fe80::1%eth0', 'peer'],
    ['fe80::1%25lo', 'peer'],
    ['fe80::g%lo', 'peer'],
    ['10.0.0.1%lo', 'peer'],
    ['fe80::1%', 'peer'],
    ['fe80::1%%1', 'peer'],
    ['10.9.9.9%1', 'peer'],
  ];
  for (const [value, wanted] of rows) {
    it(`is ${wanted} when X-Forwarded-For is ${JSON.stringify(value)}`, () => {
      expect(remoteAddress(value, 'peer', new Set(['lo']))).to.equal(wanted);
    });
  }
});
