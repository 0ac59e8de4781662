/*
 * The directory delivery on a real directory: layout, replacement, and what an earlier run left.
 */
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import type { Delivery } from '../../../src/delivery/delivery.ts';
import { bundleDirectory, createDirectoryDelivery } from '../../../src/delivery/directory-delivery.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';

const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
const bundle = (digit: string): EncodedBundle => ({ workload, digest: `sha256:${digit.repeat(64)}`, json: `{"bundle":"${digit}"}` });
const signal = new AbortController().signal;

async function openDelivery(root: string): Promise<{ readonly delivery: Delivery; readonly ledger: WorkloadLedger }> {
  const ledger = createWorkloadLedger();
  return { ledger, delivery: await createDirectoryDelivery({ root, ledger }) };
}

describe('directory delivery', () => {
  let root = '';

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sallyport-delivery-'));
  });

  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  it('lays a bundle out like a mounted ConfigMap and leaves no older version behind', async () => {
    const { delivery } = await openDelivery(root);
    const directory = bundleDirectory(root, workload);

    expect(await delivery.publish(bundle('a'), {}, signal)).to.equal('created');
    const first = await readlink(join(directory, '..data'));
    expect(await delivery.publish(bundle('b'), {}, signal)).to.equal('updated');

    expect(await readFile(join(directory, 'bundle.json'), 'utf8')).to.equal('{"bundle":"b"}');
    expect(await readFile(join(directory, 'bundle.sha256'), 'utf8')).to.equal(bundle('b').digest);
    expect(await readlink(join(directory, 'bundle.json'))).to.equal('..data/bundle.json');
    expect(await readdir(directory)).to.not.include(first);
    expect(await readdir(directory)).to.have.length(4);
  });

  it('writes nothing when the digest is the same', async () => {
    const { delivery } = await openDelivery(root);
    await delivery.publish(bundle('a'), {}, signal);
    const before = await readlink(join(bundleDirectory(root, workload), '..data'));

    expect(await delivery.publish(bundle('a'), {}, signal)).to.equal('unchanged');
    expect(await readlink(join(bundleDirectory(root, workload), '..data'))).to.equal(before);
  });

  it('lists what an earlier run left and removes it', async () => {
    await (await openDelivery(root)).delivery.publish(bundle('a'), {}, signal);

    const { delivery, ledger } = await openDelivery(root);

    expect([...ledger.records()].map(({ published }) => published?.workload)).to.deep.equal([workload]);
    expect(ledger.get('foo/deployment/httpbin')?.published?.revision).to.equal(bundle('a').digest);
    expect(await delivery.withdraw(workload, signal)).to.equal(true);
    expect(await delivery.withdraw(workload, signal)).to.equal(false);
    expect(await readdir(join(root, 'foo', 'deployment'))).to.deep.equal([]);
  });
});
