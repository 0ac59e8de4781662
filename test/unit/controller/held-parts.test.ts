import { expect } from 'chai';
import { Chunk } from '../../../src/bundle/canonical-json.ts';
import { HeldParts } from '../../../src/controller/held-parts.ts';

const chunks = (name: string, count: number): readonly Chunk[] =>
  Array.from({ length: count }, (_, at) => new Chunk(`"${name}-${at}-${'x'.repeat(2000)}"`));

describe('parts that agents have', () => {
  it('are known of the last bundle of a workload only, until it is withdrawn', () => {
    const held = new HeldParts();
    held.put('foo/pod/web', 5, chunks('a', 3));
    expect(held.get('foo/pod/web', 5)?.size).to.equal(3);
    expect(held.get('foo/pod/web', 4)).to.equal(undefined);
    held.delete('foo/pod/web');
    expect(held.get('foo/pod/web', 5)).to.equal(undefined);
  });

  it('are forgotten of the workloads that come first when there are too many digests', () => {
    const held = new HeldParts(10);
    for (const name of ['a', 'b', 'c']) held.put(`foo/pod/${name}`, 1, chunks(name, 4));
    expect(['a', 'b', 'c'].map((name) => held.get(`foo/pod/${name}`, 1)?.size)).to.deep.equal([undefined, 4, 4]);
    held.put('foo/pod/b', 2, chunks('b', 2));
    held.put('foo/pod/a', 2, chunks('a', 4));
    expect(['a', 'b', 'c'].map((name) => held.get(`foo/pod/${name}`, name === 'c' ? 1 : 2)?.size)).to.deep.equal([4, 2, 4]);
  });
});
