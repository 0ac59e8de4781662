/*
 * The directory delivery on a real directory: layout, replacement, and what an earlier run left.
 */
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import { digestOf } from '../../../src/bundle/digest.ts';
import { BUNDLE_STATEMENT, verifyStatement } from '../../../src/bundle/statement.ts';
import { systemClock } from '../../../src/clock.ts';
import type { Delivery } from '../../../src/delivery/delivery.ts';
import { bundleDirectory, createDirectoryDelivery } from '../../../src/delivery/directory-delivery.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { CLUSTER, SIGNER } from '../../support/signing.ts';

const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
const bundle = (note: string): EncodedBundle => ({
  workload,
  digest: digestOf(`{"bundle":"${note}"}`),
  json: `{"bundle":"${note}"}`,
  chunks: [],
});
const signal = new AbortController().signal;

async function openDelivery(root: string): Promise<{ readonly delivery: Delivery; readonly ledger: WorkloadLedger }> {
  const ledger = createWorkloadLedger();
  return { ledger, delivery: await createDirectoryDelivery({ root, ledger, signer: () => SIGNER, clock: systemClock }) };
}

describe('directory delivery', () => {
  let root = '';

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sallyport-delivery-'));
  });

  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  it('signs a bundle, lays it out like a mounted volume and leaves no older version behind', async () => {
    const { delivery } = await openDelivery(root);
    const directory = bundleDirectory(root, workload);

    expect(await delivery.publish(bundle('a'), {}, signal)).to.equal('created');
    const first = await readlink(join(directory, '..data'));
    expect(await delivery.publish(bundle('b'), {}, signal)).to.equal('updated');

    expect(await readFile(join(directory, '0', 'part'), 'utf8')).to.equal('{"bundle":"b"}');
    const jws = await readFile(join(directory, '0', 'statement.jws'), 'utf8');
    const { kind, name, namespace } = workload;
    const context = { cluster: CLUSTER, namespace, workload: { kind, name }, keys: SIGNER.keys, nowMs: Date.now() };
    expect(verifyStatement(BUNDLE_STATEMENT, jws, context).digest).to.equal(bundle('b').digest);
    expect(await readlink(join(directory, '0'))).to.equal('..data/0');
    expect(await readdir(directory)).to.not.include(first);
    expect(await readdir(directory)).to.have.length(3);
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
