/*
 * Signed bundles on a real API server, with exactly the permissions that the manifests grant: keys, their rotation, loss and return, and
 * what other clients may do to bundles.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { legacyBundleName, slotName } from '../../src/api/kube/workload.ts';
import type { WrittenObject } from '../../src/cluster/kube-object.ts';
import { deleteObject, readObject } from '../../src/cluster/objects.ts';
import { LEASES, objectPath, SECRETS } from '../../src/cluster/paths.ts';
import { keysIn } from '../../src/keys/key-store.ts';
import { type SigningKeys, signerOf } from '../../src/keys/signing-keys.ts';
import { runCommand } from '../support/cli-context.ts';
import { AP, DENY_GET, setUp } from '../support/controller-stage.ts';
import { levelOne } from '../support/guarded-pods.ts';
import { type MountedAgent, mountAgent } from '../support/mounted-agent.ts';
import { withDirectory } from '../support/temporary-directory.ts';

const SYSTEM = 'sallyport-system';
const SECRET = { resource: SECRETS, namespace: SYSTEM, name: 'sallyport-signing-keys' };
type Stage = ReturnType<typeof setUp>;

async function storedKeys(at: Stage): Promise<SigningKeys | undefined> {
  const secret = await readObject(at.cluster.client, SECRET);
  return secret === undefined ? undefined : keysIn(secret);
}

async function cli(at: Stage, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCommand(['keys', ...args, '--kubeconfig', at.controlPlane.kubeconfigPath]);
  expect(exitCode, stderr).to.equal(0);
  return stdout;
}

/** An agent of the pod `httpbin`, which trusts the present root key. */
async function agentOf(at: Stage): Promise<MountedAgent> {
  const workload = { namespace: at.ns, kind: 'pod', name: 'httpbin' };
  return mountAgent(at.cluster.configMap, workload, await cli(at, 'show', '--anchor'));
}

/** Publishes a policy and waits until the agent enforces exactly these. */
async function enforce(at: Stage, agent: MountedAgent, ...names: readonly string[]): Promise<void> {
  for (const name of names) await at.cluster.policy(AP, name, at.ns, DENY_GET);
  await at.see(async () => {
    await agent.sync();
    return agent.rules()?.toSorted().join() === names.toSorted().join();
  }, `the agent to enforce ${names.join()}`);
}

describe('signing keys on a real API server', function () {
  this.timeout(180_000);
  const at = setUp();

  it('are made once, also when several replicas start at the same time', async () => {
    const before = await storedKeys(at);
    const others = await Promise.all(['two', 'three'].map((name) => at.start(name)));
    for (const other of others) await at.see(async () => (await other.get('/readyz')).status === 200, 'readiness');
    expect(await storedKeys(at)).to.deep.equal(before);
    for (const other of others) await at.stop(other);
  });

  it('may be rotated twice, signing key and root key, under a running pod', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    await enforce(at, agent, 'one');
    await cli(at, 'rotate');
    await enforce(at, agent, 'one', 'two');
    await cli(at, 'rotate', '--root');
    await enforce(at, agent, 'one', 'two', 'three');
    await cli(at, 'rotate');
    await cli(at, 'rotate', '--root');
    await agent.restart();
    await enforce(at, agent, 'one', 'two', 'three', 'four');
    expect(agent.refused).to.deep.equal([]);
    await agent.close();
  });

  it('survive that the controller is removed and installed again', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    // The controller may have read the keys of the test before up to ten seconds ago.
    await enforce(at, agent, 'one');
    const refused = [...agent.refused];
    const before = await storedKeys(at);
    await at.stop(at.controller);
    at.controller = await at.start('again');
    await at.see(
      async () => (await at.controller.metric('leader_election_master_status{name="sallyport-controller"}')) === 1,
      'leadership',
    );
    await enforce(at, agent, 'one', 'two');
    expect(await storedKeys(at)).to.deep.equal(before);
    expect(agent.refused).to.deep.equal(refused);
    await agent.close();
  });

  it('are not made again when they are lost: nothing is published until they are restored', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    await enforce(at, agent, 'one');
    const backup = JSON.stringify(await readObject(at.cluster.client, SECRET));
    await deleteObject(at.cluster.client, SECRET);
    const reason = async (): Promise<string | undefined> => (await at.cluster.condition(AP, 'one', at.ns, 'Ready'))?.reason;
    await at.see(async () => (await reason()) === 'SigningKeysMissing', 'the condition');
    await at.see(
      async () => (await at.cluster.events(at.ns)).some((event) => event['reason'] === 'SigningKeysMissing' && event['type'] === 'Warning'),
      'the event',
    );
    expect(await at.controller.metric('sallyport_signing_keys_usable')).to.equal(0);

    // A restarted controller does not know that keys ever existed, but finds the bundles.
    await at.stop(at.controller);
    at.controller = await at.start('without-keys');
    await at.see(async () => (await at.controller.metric('sallyport_signing_keys_usable')) === 0, 'the metric');
    await at.cluster.policy(AP, 'two', at.ns, DENY_GET);
    await delay(2_000);
    await agent.sync();
    expect(agent.rules()).to.deep.equal(['one']);
    expect(await storedKeys(at)).to.equal(undefined);

    await withDirectory({ 'backup.json': backup }, async (cwd) => {
      const { exitCode, stderr } = await runCommand(['keys', 'restore', 'backup.json', '--kubeconfig', at.controlPlane.kubeconfigPath], {
        cwd,
      });
      expect(exitCode, stderr).to.equal(0);
      const again = await runCommand(['keys', 'restore', 'backup.json', '--kubeconfig', at.controlPlane.kubeconfigPath], { cwd });
      expect([again.exitCode, again.stderr]).to.deep.equal([
        1,
        `sallyport: namespace ${SYSTEM} has signing keys already; nothing was changed\n`,
      ]);
    });
    await enforce(at, agent, 'one', 'two');
    await at.see(async () => (await reason()) === 'Published', 'the condition to go');
    expect(await at.controller.metric('sallyport_signing_keys_usable')).to.equal(1);
    expect(agent.refused).to.deep.equal([]);
    await agent.close();
  });

  it('may come from the backup of a cluster of another uid, whose bundles no agent accepts', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    await enforce(at, agent, 'one');
    const keys = (await storedKeys(at)) as SigningKeys;
    await deleteObject(at.cluster.client, SECRET);
    const foreign = signerOf({ ...keys, cluster: 'another-cluster' });
    const backup = JSON.stringify({ ...keys, cluster: 'another-cluster' });
    await withDirectory({ 'keys.json': backup }, (cwd) =>
      runCommand(['keys', 'restore', 'keys.json', '--kubeconfig', at.controlPlane.kubeconfigPath], { cwd }),
    );
    await at.see(async () => (await storedKeys(at))?.cluster === keys.cluster, 'the keys of this cluster');
    await enforce(at, agent, 'one', 'two');
    const elsewhere = await mountAgent(at.cluster.configMap, { namespace: at.ns, kind: 'pod', name: 'httpbin' }, foreign.anchor);
    expect([elsewhere.rules(), elsewhere.refused]).to.deep.equal([undefined, ['SP_BUNDLE_FOREIGN']]);
    await elsewhere.close();
    await agent.close();
  });

  it('may be reset: pods of before keep their last bundle, new ones get the next', async () => {
    await at.guardedPod();
    const old = await agentOf(at);
    await enforce(at, old, 'one');
    await cli(at, 'reset', '--yes');
    await at.cluster.policy(AP, 'two', at.ns, DENY_GET);
    const enforced = async (): Promise<string> => (await at.cluster.condition(AP, 'two', at.ns, 'Enforced'))?.message ?? '';
    await at.see(async () => (await enforced()).includes('root key that is not of this installation'), 'the pod of before in the status');
    await at.cluster.deletePod(at.ns, 'httpbin');
    await at.guardedPod();
    const fresh = await agentOf(at);
    await enforce(at, fresh, 'one', 'two');
    await old.sync();
    expect(old.rules()).to.deep.equal(['one']);
    expect(old.refused).to.include('SP_BUNDLE_SIGNATURE');
    await fresh.close();
    await old.close();
  });

  it('sign every bundle again when the cluster was restored from a backup of an hour ago', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    await enforce(at, agent, 'one');
    const name = slotName({ kind: 'pod', name: 'httpbin' }, 0);
    const earlier = await at.cluster.configMap(at.ns, name);
    await enforce(at, agent, 'one', 'two');
    await at.cluster.deletePolicy(AP, 'two', at.ns);
    await at.stop(at.controller);
    // What etcd had an hour ago: the earlier bundle, and a lease that was renewed then.
    const { resourceVersion: _version, managedFields: _fields, uid: _uid, creationTimestamp: _time, ...metadata } = earlier?.metadata ?? {};
    await at.cluster.apply({ ...earlier, metadata } as unknown as WrittenObject);
    const lease = { resource: LEASES, namespace: SYSTEM, name: 'sallyport-controller' };
    const renewTime = new Date(Date.now() - 3_600_000).toISOString().replace('Z', '000Z');
    await at.cluster.client.request({
      method: 'PATCH',
      path: objectPath(lease),
      body: { spec: { renewTime } },
      contentType: 'application/merge-patch+json',
    });
    await agent.sync();
    expect(agent.rules()?.toSorted()).to.deep.equal(['one', 'two']);
    at.controller = await at.start('restored');
    await at.see(async () => {
      await agent.sync();
      return agent.rules()?.join() === 'one';
    }, 'the agent to follow the restored cluster');
    await agent.close();
  });
});

describe('bundles on a real API server that other clients change', function () {
  this.timeout(180_000);
  const at = setUp();
  const name = slotName({ kind: 'pod', name: 'httpbin' }, 0);
  const change = (body: object): Promise<unknown> =>
    at.cluster.client.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${at.ns}/configmaps/${name}`,
      body,
      contentType: 'application/merge-patch+json',
    });

  const changes: readonly (readonly [string, object])[] = [
    [
      'held with a recomputed digest, as immutable, by a finalizer',
      { data: { part: '{}' }, immutable: true, metadata: { finalizers: ['example.com/held'] } },
    ],
    ['extended by a compressed bundle', { binaryData: { 'bundle.json.gz': 'eA==' } }],
    ['without its statement', { data: { 'statement.jws': null } }],
  ];
  for (const [what, body] of changes) {
    it(`have no effect on agents, are reported and repaired: ${what}`, async () => {
      await at.guardedPod();
      const agent = await agentOf(at);
      await enforce(at, agent, 'one');
      await change(body);
      await agent.sync();
      await agent.restart();
      expect(agent.rules()).to.deep.equal(['one']);
      await at.see(async () => (await at.cluster.condition(AP, 'one', at.ns, 'Tampered'))?.status === 'True', 'the condition');
      await at.see(async () => (await at.cluster.events(at.ns)).some((event) => event['reason'] === 'BundleTampered'), 'the event');
      expect(await at.controller.metric('sallyport_bundle_tampered_total')).to.be.at.least(1);
      const touched = async (): Promise<string | undefined> =>
        (await at.cluster.readPod(at.ns, 'httpbin'))?.metadata?.annotations?.['sallyport.dev/bundle-digest'];
      await at.see(async () => /#\d+$/.test((await touched()) ?? ''), 'the annotation that makes the kubelet read the copy again');
      await enforce(at, agent, 'one', 'two');
      await agent.close();
    });
  }

  const INDEX = 'sallyport-bundle-index.0';
  const RECORD = 'sallyport-bundle-last-valid.0';
  const documents: readonly (readonly [string, string, object | undefined])[] = [
    [
      'the index, held as immutable by a finalizer',
      INDEX,
      { data: { 'statement.jws': 'x' }, immutable: true, metadata: { finalizers: ['example.com/held'] } },
    ],
    ['the index, deleted', INDEX, undefined],
    ['the record of last good policies, without its statement', RECORD, { data: { 'statement.jws': null } }],
    ['the record of last good policies, deleted', RECORD, undefined],
  ];
  for (const [what, document, body] of documents) {
    it(`are repaired and reported while the same leader runs: ${what}`, async () => {
      await at.guardedPod();
      await at.cluster.policy(AP, 'one', at.ns, { ...DENY_GET, selector: { matchLabels: { app: 'httpbin' } } });
      // An ALLOW with a field that only DENY may have: its last valid version is recorded.
      await at.cluster.policy(AP, 'two', at.ns, DENY_GET);
      const indexText = async (): Promise<string> => {
        const { part = '' } = ((await at.cluster.configMap(at.ns, INDEX))?.['binaryData'] ?? {}) as { readonly part?: string };
        return Buffer.from(part, 'base64').toString();
      };
      await at.see(async () => (await at.rulesOf())?.length === 2, 'both policies');
      await at.cluster.policy(AP, 'two', at.ns, { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/{bad'] } }] }] });
      const statement = async (): Promise<string | undefined> =>
        ((await at.cluster.configMap(at.ns, document))?.['data'] as Readonly<Record<string, string>> | undefined)?.['statement.jws'];
      await at.see(async () => ((await statement()) ?? '') !== '', document);
      // Otherwise the index is about to be written for the selector of a policy, whatever happens to it meanwhile.
      if (document === INDEX) await at.see(async () => (await indexText()).includes('httpbin'), 'the selector in the index');
      const before = (await at.controller.metric('sallyport_bundle_tampered_total')) ?? 0;
      const path = `/api/v1/namespaces/${at.ns}/configmaps/${document}`;
      if (body === undefined) await at.cluster.client.request({ method: 'DELETE', path });
      else await at.cluster.client.request({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' });

      await at.see(async () => (await at.cluster.condition(AP, 'one', at.ns, 'Tampered'))?.status === 'True', 'the condition');
      expect((await at.cluster.condition(AP, 'one', at.ns, 'Tampered'))?.message).to.contain(document);
      await at.see(async () => (await statement())?.startsWith('ey') === true, 'the repaired document');
      expect((await at.cluster.configMap(at.ns, document))?.['immutable']).to.equal(undefined);
      expect(await at.controller.metric('sallyport_bundle_tampered_total')).to.be.greaterThan(before);
      await at.see(async () => (await at.cluster.events(at.ns)).some((event) => event['reason'] === 'BundleTampered'), 'the event');
    });
  }

  it('reach agents through another slot while one is overwritten sixty times a second', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    await enforce(at, agent, 'one');
    const stop = new AbortController();
    let writes = 0;
    const storm = (async () => {
      while (!stop.signal.aborted) {
        await change({ data: { part: `{"x":${writes}}` } }).catch(() => undefined);
        writes += 1;
        await delay(1000 / 60);
      }
    })();
    await enforce(at, agent, 'one', 'two');
    await enforce(at, agent, 'one', 'two', 'three');
    // Whenever the volume is read, the agent enforces what the controller signed last.
    for (let look = 0; look < 20; look += 1) {
      await agent.sync();
      expect(agent.rules()).to.have.length(3);
      await delay(100);
    }
    stop.abort();
    await storm;
    expect(writes).to.be.greaterThan(60);
    await agent.close();
  });
});

describe('agents of the version before on a real API server', function () {
  this.timeout(120_000);
  const at = setUp();

  it('take edits of policies for as long as they run, and nothing is left after them', async () => {
    await at.guardedPod();
    const pod = await at.cluster.readPod(at.ns, 'httpbin');
    const renamed = JSON.parse(JSON.stringify(pod?.['spec']).replaceAll('"httpbin"', '"old"')) as object;
    const old = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: at.ns, name: 'old', labels: { app: 'old' } }, spec: renamed };
    await at.cluster.apply(levelOne(old) as unknown as WrittenObject);
    const rules = async (): Promise<string | undefined> => {
      const data = (await at.cluster.configMap(at.ns, legacyBundleName('old')))?.['data'] as Readonly<Record<string, string>> | undefined;
      const text = data?.['bundle.json'];
      if (text === undefined) return undefined;
      const bundle = JSON.parse(text) as {
        schema: string;
        workload: object;
        programs: { http: { deny: { rules: { source: { name: string } }[] } } }[];
      };
      expect([bundle.schema, bundle.workload]).to.deep.equal(['sallyport.dev/bundle/v1', { namespace: at.ns, name: 'old' }]);
      return bundle.programs.flatMap(({ http }) => http.deny.rules.map(({ source }) => source.name)).join();
    };
    await at.see(async () => (await rules()) === '', 'the unsigned bundle');
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await at.see(async () => (await rules()) === 'no-get', 'the edit');
    expect(await at.cluster.configMap(at.ns, legacyBundleName('httpbin'))).to.equal(undefined);
    await at.cluster.deletePod(at.ns, 'old');
    await at.see(async () => (await at.cluster.configMap(at.ns, legacyBundleName('old'))) === undefined, 'the unsigned bundle to go');
  });
});
