import { expect } from 'chai';
import { blockEdges } from '../../../../src/explain/generate/block-edges.ts';

describe('blockEdges', () => {
  const cases: readonly (readonly [block: string, edges: readonly string[]])[] = [
    ['10.1.0.0/16', ['10.1.0.0', '10.1.255.255', '10.0.255.255', '10.2.0.0']],
    ['10.1.2.3/32', ['10.1.2.3', '10.1.2.2', '10.1.2.4']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255']],
    ['255.0.0.0/8', ['255.0.0.0', '255.255.255.255', '254.255.255.255']],
    ['2001:db8::/127', ['2001:db8::', '2001:db8::1', '2001:db7:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db8::2']],
    ['not a block', []],
  ];
  for (const [block, edges] of cases) {
    it(`returns the edges of ${block}`, () => {
      expect(blockEdges(block)).to.deep.equal(edges);
    });
  }
});
