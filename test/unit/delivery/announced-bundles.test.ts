/*
 * Bundles that agents get before they are written.
 */
import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import type { Signer } from '../../../src/bundle/signer.ts';
import { peekStatement } from '../../../src/bundle/statement.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import { MAX_ANNOUNCED_BYTES } from '../../../src/delivery/announced-bundles.ts';
import { type ConfigMapDelivery, createConfigMapDelivery } from '../../../src/delivery/config-map-delivery.ts';
import type { PublishedCopies } from '../../../src/delivery/published-copies.ts';
import { rotateSigningKey, signerOf } from '../../../src/keys/signing-keys.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createFakeConfigMaps, type FakeConfigMaps } from '../../support/fake-config-maps.ts';
import { KEYS, SIGNER } from '../../support/signing.ts';

const never = new AbortController().signal;
const KEY = 'foo/deployment/web';
const SLOT = 'foo/sallyport-bundle-deployment.web.0';

function encoded(note: string, name = 'web', noise = '', namespace = 'foo'): EncodedBundle {
  const { bundle } = compileWorkload({
    workload: { namespace, kind: 'deployment', name },
    labelSets: [{}],
    policiesFor: () => [],
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  });
  return encodeBundle({ ...bundle, keySets: { 'remote-1': { source: note, keys: [{ kty: 'EC', noise }] } } });
}

describe('announced bundles', () => {
  let fake: FakeConfigMaps;
  let clock: FakeClock;
  let ledger: WorkloadLedger<PublishedCopies>;
  let signer: Signer | undefined;
  let isLeading: boolean;
  let tampered: number;
  let isDown: boolean;
  let delivery: ConfigMapDelivery;
  let heard: string[];
  beforeEach(() => {
    [fake, clock, ledger] = [createFakeConfigMaps(), createFakeClock(), createWorkloadLedger<PublishedCopies>()];
    [signer, isLeading, tampered, isDown, heard] = [SIGNER, true, 0, false, []];
    delivery = createConfigMapDelivery({
      client: { ...fake.client, request: (request) => (isDown ? Promise.reject(new Error('down')) : fake.client.request(request)) },
      ledger,
      signer: () => signer,
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
      isLeading: () => isLeading,
      onTampered: () => void (tampered += 1),
    });
    delivery.announced.subscribe((key) => heard.push(key));
  });
  const announce = (bundle: EncodedBundle): number | undefined => {
    ledger.desire(KEY, { revision: bundle.digest, policies: new Map(), findings: new Map() });
    delivery.announce(bundle, {});
    return delivery.announced.get(KEY)?.number;
  };
  const publish = (bundle: EncodedBundle): Promise<string> => delivery.publish(bundle, {}, never);
  const written = (): number | undefined => {
    const data = fake.objects.get(SLOT)?.['data'] as Readonly<Record<string, string>> | undefined;
    return peekStatement(data?.['statement.jws'] ?? '')?.number;
  };

  it('go when they are withdrawn, which the feed hears although nothing was published', async () => {
    announce(encoded('one'));
    await delivery.withdraw({ namespace: 'foo', kind: 'deployment', name: 'web' }, never);
    expect([heard, delivery.announced.get(KEY)]).to.deep.equal([[KEY, KEY], undefined]);
  });

  it('are written under the number that agents saw, and then not announced any more', async () => {
    const number = announce(encoded('one'));
    expect(announce(encoded('one'))).to.equal(number);
    expect([heard, written()]).to.deep.equal([[KEY], undefined]);
    clock.advance(1_000);
    expect(await publish(encoded('one'))).to.equal('created');
    expect(written()).to.equal(number);
    expect(delivery.announced.get(KEY)).to.equal(undefined);
    expect(announce(encoded('one'))).to.equal(undefined);
    expect(await publish(encoded('one'))).to.equal('unchanged');
    expect(tampered).to.equal(0);
  });

  it('are replaced under a higher number, also by what is published', async () => {
    announce(encoded('one'));
    await publish(encoded('one'));
    const second = announce(encoded('two')) ?? 0;
    const third = announce(encoded('one')) ?? 0;
    expect(third).to.be.greaterThan(second);
    expect(await publish(encoded('one'))).to.equal('updated');
    expect(written()).to.equal(third);
    expect(tampered).to.equal(0);
  });

  it('stay announced while their write fails, which looks like no change by others', async () => {
    announce(encoded('one'));
    await publish(encoded('one'));
    const number = announce(encoded('two'));
    isDown = true;
    await publish(encoded('two')).catch(() => undefined);
    expect(delivery.announced.get(KEY)?.number).to.equal(number);
    isDown = false;
    expect(await publish(encoded('two'))).to.equal('updated');
    expect([written(), tampered]).to.deep.equal([number, 0]);
  });

  it('are signed again when other keys sign, and above a number that an agent knows', async () => {
    const first = announce(encoded('one')) ?? 0;
    signer = signerOf(rotateSigningKey(KEYS, Date.now() + 1));
    delivery.onKeysChanged();
    const second = announce(encoded('one')) ?? 0;
    expect(second).to.be.greaterThan(first);
    await publish(encoded('one'));
    delivery.renew({ namespace: 'foo', kind: 'deployment', name: 'web' }, second + 50_000);
    expect(announce(encoded('one'))).to.equal(second + 50_001);
    expect(await publish(encoded('one'))).to.equal('updated');
    expect(written()).to.equal(second + 50_001);
  });

  it('are nothing of a process that may not lead any more, or has no keys, or whose term ended', () => {
    isLeading = false;
    expect(announce(encoded('one'))).to.equal(undefined);
    [isLeading, signer] = [true, undefined];
    expect(announce(encoded('one'))).to.equal(undefined);
    signer = SIGNER;
    expect(announce(encoded('one'))).to.be.a('number');
    delivery.endTerm();
    expect(delivery.announced.get(KEY)).to.equal(undefined);
  });

  const NOISE = 'n'.repeat(200 * 1024);
  const announceMany = async (from: number, write: boolean): Promise<void> => {
    const most = Math.floor(MAX_ANNOUNCED_BYTES / NOISE.length);
    for (let at = 0; at <= most; at += 1) {
      const bundle = encoded('one', `w${from + at}`, NOISE);
      delivery.announce(bundle, {});
      if (write) await publish(bundle);
    }
  };

  it('are limited in bytes, texts included, with a share for each namespace: more are published only', async () => {
    await announceMany(0, false);
    expect(heard.length).to.be.within(35, 41);
    expect(delivery.announced.get('foo/deployment/w160')).to.equal(undefined);
    heard.length = 0;
    delivery.announce(encoded('one', 'web', NOISE, 'bar'), {});
    expect(heard).to.deep.equal(['bar/deployment/web']);
  });

  it('keep the one before when the next one does not fit, because agents have seen its number', async () => {
    const number = announce(encoded('one'));
    await announceMany(0, false);
    expect(announce(encoded('two', 'web', NOISE.repeat(4)))).to.equal(number);
  });

  it('take no space once they are written, also when no agent asks for them', async () => {
    await announceMany(0, true);
    expect(heard.length).to.be.greaterThan(150);
  });
});
