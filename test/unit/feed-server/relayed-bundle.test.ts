import { expect } from 'chai';
import { encodeRelayed, parseRelayed } from '../../../src/feed-server/relayed-bundle.ts';

const packed = (workload: string, number = 7): Buffer =>
  encodeRelayed({ workload, number, files: { '0/part': Buffer.from('text') } }) as Buffer;

describe('a bundle on its way to another replica', () => {
  for (const workload of ['foo/virtualmachineinstance/web', 'foo/cache-v2/web', 'foo/job/Zoë/1\n', `foo/rollout/${'a'.repeat(300)}`])
    it(`is of any workload that the owner of a pod can name, such as ${JSON.stringify(workload.slice(0, 40))}`, () => {
      expect(parseRelayed(packed(workload))?.workload).to.equal(workload);
    });

  it('may come from a later version that says more', () => {
    const more = packed('foo/pod/web').toString().replace('{', '{"more":1,');
    expect(parseRelayed(Buffer.from(more))).to.deep.equal(parseRelayed(packed('foo/pod/web')));
  });

  it('keeps nothing in memory of what arrived with it', () => {
    const arrived = Buffer.concat([packed('foo/pod/web'), Buffer.alloc(60_000)]);
    const files = parseRelayed(arrived.subarray(0, packed('foo/pod/web').length))?.files ?? {};
    expect(Object.values(files).map((content) => content?.buffer.byteLength)).to.deep.equal([4]);
  });
});
