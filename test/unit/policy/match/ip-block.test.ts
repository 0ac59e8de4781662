/*
 * IP addresses and CIDR blocks.
 */
import { isIP } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { blockContains, formatIpBlock, isIpLiteral, parseIp, parseIpBlock } from '../../../../src/policy/match/ip-block.ts';

function contains(block: string, address: string): boolean {
  const parsed = parseIpBlock(block);
  const words = parseIp(address);
  if (parsed === undefined || words === undefined) throw new Error(`${block} or ${address} is malformed`);
  return blockContains(parsed, words);
}

describe('IP block', () => {
  const canonical: readonly (readonly [string, string])[] = [
    ['10.1.2.3', '10.1.2.3/32'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['255.255.255.255/0', '0.0.0.0/0'],
    ['192.168.1.129/25', '192.168.1.128/25'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['2001:db8:a:b::/33', '2001:db8::/33'],
    ['::', '::/128'],
    ['::1/0', '::/0'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3/128'],
    ['1:0:2:0:3:0:4:0', '1:0:2:0:3:0:4:0/128'],
    ['::ffff:10.0.0.1', '::ffff:a00:1/128'],
    ['1:2:3:4:5:6:1.2.3.4/128', '1:2:3:4:5:6:102:304/128'],
    ['fe80::/10', 'fe80::/10'],
    ['1::', '1::/128'],
  ];
  for (const [value, wanted] of canonical) {
    it(`formats ${value} as ${wanted}`, () => {
      const block = parseIpBlock(value);
      expect(block === undefined ? undefined : formatIpBlock(block)).to.equal(wanted);
    });
  }

  const malformed = [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.04',
    '01.2.3.4',
    '1..2.3',
    '1.2.3.',
    '.1.2.3',
    '1.2.3.4 ',
    'a.b.c.d',
    '1.2.3.1000',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    '1:',
    ':1',
    '::1%eth0',
    '1:2:3:4:5:6:7::8',
    '::1.2.3',
    '1:2:3:4:5:6:7:1.2.3.4',
    '[::1]',
    '1.2.3.4/',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/+1',
    '1.2.3.4/08',
    '1.2.3.4/1a',
    '1.2.3.4/1/2',
    '::/129',
    '::/1000',
    '1.2.3.4/ 8',
    'x/8',
  ];
  for (const value of malformed) {
    it(`rejects ${JSON.stringify(value)}`, () => {
      expect(parseIpBlock(value)).to.equal(undefined);
    });
  }

  const containment: readonly (readonly [block: string, address: string, holds: boolean])[] = [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '1.2.3.4', false],
    ['::/0', '::ffff:1.2.3.4', true],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.2/31', '10.1.2.3', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['2001:db8::1/128', '2001:db8::1', true],
    ['2001:db8::1/128', '2001:db8::2', false],
  ];
  for (const [block, address, holds] of containment) {
    it(`${block} ${holds ? 'contains' : 'does not contain'} ${address}`, () => {
      expect(contains(block, address)).to.equal(holds);
    });
  }

  it('accepts the same literals as Node.js', () => {
    const character = fc.constantFrom('0', '1', '25', '255', '.', ':', '::', 'f', 'ffff', '00');
    fc.assert(
      fc.property(fc.array(character, { maxLength: 12 }), (parts) => {
        const value = parts.join('');
        expect(isIpLiteral(value), value).to.equal(isIP(value) !== 0);
      }),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (value) => {
        expect(isIpLiteral(value), value).to.equal(isIP(value) !== 0);
      }),
    );
  });
});
