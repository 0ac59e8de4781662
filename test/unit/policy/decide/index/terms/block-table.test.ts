/* The table of CIDR blocks compared with a test of each block. */
import { expect } from 'chai';
import { type BlockTable, buildBlockTable } from '../../../../../../src/policy/decide/index/terms/block-table.ts';
import { blockContains, type IpBlock, type IpWords, parseIp, parseIpBlock } from '../../../../../../src/policy/match/ip-block.ts';
import { doSteps } from '../../../../../../src/steps.ts';

const IPV4: readonly string[] = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.0.0.0/24',
  '10.0.1.0/24',
  '10.0.1.128/25',
  '10.255.255.255/32',
  '128.0.0.0/1',
  '255.255.255.255/32',
];
const IPV6: readonly string[] = [
  '2001:db8::/32',
  '2001:db8::/64',
  '2001:db8:0:1::/64',
  '2001:db8:0:1::7/128',
  'ffff::/16',
  '::1/128',
  '2001:db8:ffff:ffff::/64',
  '::/1',
];

function tableOf(texts: readonly string[]): BlockTable {
  const blocks = texts.map((text, id) => ({ block: parseIpBlock(text) as IpBlock, ids: [id] }));
  return doSteps(buildBlockTable(blocks, undefined)) as BlockTable;
}

function idsAt(table: BlockTable, address: string): readonly number[] {
  const ids: number[] = [];
  for (let link = table.find(parseIp(address) as IpWords); link !== undefined; link = link.parent) ids.push(...link.ids);
  return ids.toSorted((left, right) => left - right);
}

describe('buildBlockTable', () => {
  const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
    [
      IPV4,
      [
        '0.0.0.0',
        '9.255.255.255',
        '10.0.0.0',
        '10.0.0.255',
        '10.0.1.0',
        '10.0.1.128',
        '10.0.2.0',
        '10.255.255.255',
        '11.0.0.0',
        '127.255.255.255',
        '128.0.0.0',
        '255.255.255.255',
      ],
    ],
    [IPV4.slice(1), ['0.0.0.0', '9.255.255.255', '10.0.0.1', '11.0.0.0', '128.0.0.1', '255.255.255.255']],
    [
      IPV6,
      [
        '::',
        '::1',
        '2001:db8::',
        '2001:db8::ffff',
        '2001:db8:0:1::7',
        '2001:db8:0:1::8',
        '2001:db8:0:2::',
        '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
        '2001:db9::',
        'ffff::1',
        'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
        '7fff::',
        '8000::',
      ],
    ],
  ];

  for (const [blocks, addresses] of cases) {
    for (const address of addresses) {
      it(`finds the blocks that contain ${address} among ${blocks.length}`, () => {
        const wanted = blocks.flatMap((text, id) =>
          blockContains(parseIpBlock(text) as IpBlock, parseIp(address) as IpWords) ? [id] : [],
        );

        expect(idsAt(tableOf(blocks), address)).to.deep.equal(wanted);
      });
    }
  }

  it('reports how many blocks an address can hit', () => {
    expect(tableOf(IPV4).worst).to.equal(4);
  });

  it('is undefined when there are no blocks', () => {
    expect(doSteps(buildBlockTable([], undefined))).to.equal(undefined);
  });
});
