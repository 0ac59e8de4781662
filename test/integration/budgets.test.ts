/*
 * What a tenant with large, invalid or relabelled objects can do, on a real API server: budgets of policies, records of last good versions, and
 * the index of selectors.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Bundles } from '../../src/agent/bundles/bundles.ts';
import { BUNDLE_SLOTS, INDEX_COPIES } from '../../src/api/kube/names.ts';
import { indexName, slotName } from '../../src/api/kube/workload.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { digestOf } from '../../src/bundle/digest.ts';
import { parseJws } from '../../src/bundle/jws.ts';
import { fromStoredForm } from '../../src/bundle/slots.ts';
import type { Statement } from '../../src/bundle/statement.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { AP, DENY_GET, setUp } from '../support/controller-stage.ts';
import { type Files, mountVolume, newFolder } from '../unit/agent/bundles.ts';
import { httpChain } from '../unit/filters/chains.ts';

const ROOT = 'istio-system';
const WORKLOAD = { kind: 'pod', name: 'httpbin' };

/** An AUDIT policy of 0.8 MB that compresses to two thirds. */
function large(): object {
  const paths = Array.from({ length: 17_000 }, () => `/${randomBytes(32).toString('base64url')}`);
  return { action: 'AUDIT', rules: [{ to: [{ operation: { paths } }] }] };
}

describe('controller on a real API server: budgets, last good versions and indexes', function () {
  this.timeout(180_000);
  const at = setUp();
  const { see, readyReason, guardedPod, rulesOf, version } = at;
  const rootReason = async (name: string): Promise<string | undefined> => (await at.cluster.condition(AP, name, ROOT, 'Ready'))?.reason;
  const contentOf = (raw: RawObject | undefined): Readonly<Record<string, Buffer>> => {
    const plain = Object.entries((raw?.['data'] ?? {}) as Readonly<Record<string, string>>);
    const binary = Object.entries((raw?.['binaryData'] ?? {}) as Readonly<Record<string, string>>);
    return Object.fromEntries([
      ...plain.map(([key, text]) => [key, Buffer.from(text)] as const),
      ...binary.map(([key, text]) => [key, Buffer.from(text, 'base64')] as const),
    ]);
  };
  /** The files of the pod's volume, as the kubelet would write them. */
  const volume = async (): Promise<Files> => {
    const sources = [
      ...Array.from({ length: BUNDLE_SLOTS }, (_, slot) => [slotName(WORKLOAD, slot), String(slot)] as const),
      ...Array.from({ length: INDEX_COPIES }, (_, copy) => [indexName(copy), `index/${copy}`] as const),
    ];
    const found = await Promise.all(
      sources.map(async ([name, directory]) => [directory, contentOf(await at.cluster.configMap(at.ns, name))] as const),
    );
    return Object.fromEntries(
      found.flatMap(([directory, files]) => Object.entries(files).map(([name, content]) => [`${directory}/${name}`, content])),
    );
  };
  /** The newest bundle, also one in two parts. */
  const bundle = async (): Promise<Bundle | undefined> => {
    const files = (await volume()) as Readonly<Record<string, Buffer>>;
    const parts = new Map(
      Object.entries(files).flatMap(([name, content]) => (name.endsWith('/part') ? [[digestOf(content), content] as const] : [])),
    );
    const statements = Object.entries(files)
      .filter(([name]) => /^\d\/statement\.jws$/.test(name))
      .map(([, jws]) => parseJws('sallyport-statement', jws.toString())?.payload as Statement)
      .sort((one, other) => other.number - one.number);
    const [newest] = statements;
    if (newest === undefined) return undefined;
    return JSON.parse(Buffer.from(fromStoredForm(newest, (digest) => parts.get(digest))).toString()) as Bundle;
  };
  before(() => at.cluster.namespace(ROOT));
  afterEach(async () => {
    for (const name of ['root-deny', 'root-tier']) await at.cluster.deletePolicy(AP, name, ROOT);
  });

  it('delivers policies of the root namespace in spite of oversized policies of the tenant', async () => {
    await guardedPod();
    for (const name of ['a', 'b']) await at.cluster.policy(AP, name, at.ns, large());
    await see(async () => (await readyReason(AP, 'b')) === 'OverBudget', 'the refusal');
    await see(async () => (await readyReason(AP, 'a')) === 'Published', 'the status of the older policy');
    await at.cluster.policy(AP, 'root-deny', ROOT, DENY_GET);
    await see(async () => (await bundle())?.programs[0]?.http.deny.rules.length === 1, 'the rule in the bundle');
    await see(async () => (await rootReason('root-deny')) === 'Published', 'the status of the root policy');
    expect((await at.cluster.condition(AP, 'b', at.ns, 'Ready'))?.message).to.contain('it is not evaluated');
    await at.cluster.deletePolicy(AP, 'a', at.ns);
    await see(async () => (await readyReason(AP, 'b')) === 'Published', 'the status once there is space');
  });

  it('keeps the last valid version of a policy across a restart, and forgets it with the policy', async () => {
    await guardedPod();
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    const record = (): Promise<RawObject | undefined> => at.cluster.configMap(at.ns, 'sallyport-bundle-last-valid.0');
    await at.cluster.policy(AP, 'no-get', at.ns, { ...DENY_GET, rules: [{ when: [{ key: 'nonsense', values: ['x'] }] }] });
    await see(async () => (await record()) !== undefined, 'the record');
    await see(async () => (await readyReason(AP, 'no-get')) === 'NotAccepted', 'the status');
    const before = await version();
    await at.stop(at.controller);
    at.controller = await at.start('successor');
    await at.cluster.policy(AP, 'other', at.ns, { ...DENY_GET, action: 'AUDIT' });
    await see(async () => (await version()) !== before, 'a bundle of the successor');
    const methods = (await bundle())?.programs[0]?.http.deny.rules.map(({ to }) => to[0]?.[0]?.anyOf);
    expect(methods).to.deep.equal([[{ kind: 'exact', value: 'GET' }]]);
    expect((await at.cluster.condition(AP, 'no-get', at.ns, 'Ready'))?.message).to.contain('Generation 1 remains active');
    await at.cluster.deletePolicy(AP, 'no-get', at.ns);
    await see(async () => (await record()) === undefined, 'no record');
  });

  it('answers a relabelled pod with 503 until its bundle arrives, and writes only the index for a policy that selects nothing', async () => {
    await guardedPod();
    const index = async (): Promise<string> => contentOf(await at.cluster.configMap(at.ns, indexName(0)))['part']?.toString() ?? '';
    await see(async () => (await index()) !== '', 'the index');
    const before = await version();
    await at.cluster.policy(AP, 'root-tier', ROOT, { selector: { matchLabels: { tier: 'restricted' } }, ...DENY_GET });
    await see(async () => (await index()).includes('restricted'), 'the selector in the index');
    expect(await version()).to.equal(before);

    const folder = await newFolder();
    for (const name of ['bundle', 'info']) await mkdir(join(folder, name));
    const label = (labels: string): Promise<void> => writeFile(join(folder, 'info', 'labels'), labels);
    await label('app="httpbin"\n');
    await mountVolume(join(folder, 'bundle'), await volume());
    const events: string[] = [];
    const { json } = await at.cluster.client.request({
      method: 'GET',
      path: '/api/v1/namespaces/sallyport-system/secrets/sallyport-signing-keys',
    });
    const { data } = json as { readonly data: Readonly<Record<string, string>> };
    const keys = JSON.parse(Buffer.from(data['keys.json'] ?? '', 'base64').toString()) as {
      readonly cluster: string;
      readonly root: { readonly x: string };
    };
    const bundles = new Bundles(
      {
        bundleDir: join(folder, 'bundle'),
        workload: { namespace: at.ns, ...WORKLOAD },
        labelsFile: join(folder, 'info', 'labels'),
        labels: undefined,
        stateDir: undefined,
        pollMs: 50,
        trust: { anchor: { cluster: keys.cluster, roots: [keys.root.x] }, floor: 0, wallMs: Date.now },
      },
      {
        logger: createLogger({ level: 'silent', component: 'test' }),
        *createFilterChain(program) {
          yield;
          events.push(program.http.deny.attached ? 'deny' : 'allow');
          return httpChain(() => {
            throw new Error('not asked');
          });
        },
        onActive: () => undefined,
        onUnmatched: () => events.push('503'),
        onRejected: (code) => events.push(code),
      },
    );
    await bundles.begin();
    await label('app="httpbin"\ntier="restricted"\n');
    await bundles.read();
    expect(events).to.deep.equal(['allow', '503']);
    const startedMs = Date.now();
    await at.cluster.pod({ namespace: at.ns, name: 'httpbin', labels: { app: 'httpbin', tier: 'restricted' } });
    await see(async () => {
      await mountVolume(join(folder, 'bundle'), await volume());
      await bundles.read();
      return events.length > 2;
    }, 'the policy for the new labels');
    expect(events).to.deep.equal(['allow', '503', 'deny']);
    expect(Date.now() - startedMs).to.be.below(5_000);
    await rm(folder, { recursive: true });
  });
});
