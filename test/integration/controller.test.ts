/*
 * The controller as a process on a real API server, with exactly the permissions that the manifests grant: bundles, statuses
 * and keys.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { BUNDLE_TOUCH_ANNOTATION, DIGEST_ANNOTATION } from '../../src/api/kube/names.ts';
import { AP, DENY_GET, RA, setUp } from '../support/controller-stage.ts';
import { freshJwks, json } from '../support/key-server.ts';

describe('controller on a real API server: bundles', function () {
  this.timeout(120_000);
  const at = setUp();
  const { see, version, rulesOf, readyReason, guardedPod } = at;

  it('publishes a bundle for a workload with an agent, and none for a workload without', async () => {
    await at.cluster.pod({ namespace: at.ns, name: 'bare', agent: false });
    await guardedPod();

    const configMap = await at.cluster.configMap(at.ns, 'sallyport-bundle-pod.httpbin.0');
    expect(configMap?.metadata?.labels).to.include({ 'sallyport.dev/workload': 'httpbin', 'app.kubernetes.io/managed-by': 'sallyport' });
    expect(configMap?.metadata?.['ownerReferences']).to.have.length(1);
    const bundle = await at.cluster.bundle(at.ns, 'httpbin');
    expect(bundle?.workload).to.deep.equal({ namespace: at.ns, kind: 'pod', name: 'httpbin' });
    expect(bundle?.programs[0]?.http.allow.attached).to.equal(false);
    expect(await at.cluster.configMap(at.ns, 'sallyport-bundle-pod.bare.0')).to.equal(undefined);
  });

  it('publishes a policy that selects the workload, annotates its pod, and reports it in the status', async () => {
    await guardedPod();
    const allowGet = { selector: { matchLabels: { app: 'httpbin' } }, rules: DENY_GET.rules };
    await at.cluster.policy(AP, 'only-get', at.ns, allowGet);
    await see(async () => (await rulesOf())?.join() === 'only-get', 'the rule in the bundle');

    const digest = (await at.cluster.configMap(at.ns, 'sallyport-bundle-pod.httpbin.0'))?.metadata?.annotations?.[DIGEST_ANNOTATION];
    await see(
      async () => (await at.cluster.readPod(at.ns, 'httpbin'))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION] === digest,
      'the pod annotation',
    );
    await see(async () => (await readyReason(AP, 'only-get')) === 'Published', 'the status');
    const ready = await at.cluster.condition(AP, 'only-get', at.ns, 'Ready');
    expect(ready).to.include({ status: 'True', observedGeneration: 1, message: 'Published to 1 of 1 selected workloads with an agent' });
    expect(await at.cluster.condition(AP, 'only-get', at.ns, 'Accepted')).to.include({ status: 'True', reason: 'Accepted' });
  });

  it('writes nothing when a change makes no difference to the bundle', async () => {
    await guardedPod();
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'no-get')) === 'Published', 'the status');
    const before = await version();

    await at.cluster.policy(AP, 'elsewhere', at.ns, { selector: { matchLabels: { app: 'other' } }, ...DENY_GET });
    await at.cluster.pod({ namespace: at.ns, name: 'httpbin', labels: { app: 'httpbin', irrelevant: 'yes' } });
    await see(async () => (await readyReason(AP, 'elsewhere')) === 'SelectsNothing', 'the status of the other policy');
    await delay(500);

    expect(await version()).to.equal(before);
    const policy = await at.cluster.apply({
      apiVersion: 'security.istio.io/v1',
      kind: AP,
      metadata: { name: 'no-get', namespace: at.ns },
      spec: DENY_GET,
    });
    await delay(500);
    expect((await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET)).metadata?.resourceVersion).to.equal(policy.metadata?.resourceVersion);
  });

  it('follows a relabelled pod', async () => {
    await guardedPod();
    await at.cluster.policy(AP, 'no-get', at.ns, { selector: { matchLabels: { stage: 'prod' } }, ...DENY_GET });
    await see(async () => (await readyReason(AP, 'no-get')) === 'SelectsNothing', 'the status');
    expect(await rulesOf()).to.deep.equal([]);

    await at.cluster.pod({ namespace: at.ns, name: 'httpbin', labels: { app: 'httpbin', stage: 'prod' } });
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    expect((await at.cluster.bundle(at.ns, 'httpbin'))?.variants).to.deep.equal([{ labels: { stage: 'prod' }, program: 0 }]);
    await see(async () => (await readyReason(AP, 'no-get')) === 'Published', 'the status');
  });

  it('removes a deleted policy from the bundle, and the bundle with the last pod', async () => {
    await guardedPod();
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    await at.cluster.deletePolicy(AP, 'no-get', at.ns);
    await see(async () => (await rulesOf())?.length === 0, 'a bundle without the rule');

    await at.cluster.deletePod(at.ns, 'httpbin');
    await see(async () => (await version()) === undefined, 'the bundle to be removed');
  });

  it('repairs a bundle that was changed, extended, made immutable or deleted by others', async () => {
    await guardedPod();
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    const good = await at.cluster.bundle(at.ns, 'httpbin');
    const path = `/api/v1/namespaces/${at.ns}/configmaps/sallyport-bundle-pod.httpbin.0`;
    const tamper = (body: object): Promise<unknown> =>
      at.cluster.client.request({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' });
    const isRepaired = async (): Promise<boolean> => {
      const now = await at.cluster.configMap(at.ns, 'sallyport-bundle-pod.httpbin.0');
      const isLabelled = now?.metadata?.labels?.['sallyport.dev/bundle'] !== undefined;
      const keys = ['data', 'binaryData'].flatMap((field) => Object.keys(now?.[field] ?? {})).sort();
      const isClean = keys.join() === 'keys.jws,part,statement.jws' && now?.['immutable'] === undefined && isLabelled;
      return isClean && JSON.stringify(await at.cluster.bundle(at.ns, 'httpbin')) === JSON.stringify(good);
    };

    for (const change of [
      { data: { part: '{}' } },
      { data: { 'extra.json': '{}' } },
      { binaryData: { 'bundle.json.gz': 'eA==' } },
      { data: { 'statement.jws': null } },
      { metadata: { labels: { 'sallyport.dev/bundle': null } } },
      { data: { part: '{}' }, immutable: true },
      { data: { part: '{}' }, immutable: true, metadata: { finalizers: ['example.com/held'] } },
      // Without the label the watch reports neither the ConfigMap nor that it is immutable.
      { metadata: { labels: { 'sallyport.dev/bundle': null } }, data: { part: '{}' }, immutable: true },
    ]) {
      const before = await version();
      await tamper(change);
      await see(async () => (await version()) !== before && (await isRepaired()), `repair of ${JSON.stringify(change)}`);
    }
    await at.cluster.client.request({ method: 'DELETE', path });
    // A slot that others change often is used last.
    const isServed = async (): Promise<boolean> => {
      const bundles = await Promise.all([0, 1, 2].map((slot) => at.cluster.bundle(at.ns, 'httpbin', 'pod', slot)));
      return bundles.some((bundle) => JSON.stringify(bundle) === JSON.stringify(good));
    };
    await see(isServed, 'the deleted bundle to come back');
  });

  it('removes a bundle that belongs to no workload', async () => {
    await guardedPod();
    const configMap = await at.cluster.configMap(at.ns, 'sallyport-bundle-pod.httpbin.0');
    const { labels = {}, annotations = {} } = configMap?.metadata ?? {};
    await at.cluster.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        namespace: at.ns,
        name: 'sallyport-bundle-pod.ghost.0',
        labels,
        annotations: { ...annotations, 'sallyport.dev/workload': 'pod/ghost' },
      },
      data: { 'bundle.json': '{}' },
    });
    await see(
      async () => (await at.cluster.configMap(at.ns, 'sallyport-bundle-pod.ghost.0')) === undefined,
      'the bundle of no workload to be removed',
    );
  });

  it('leaves other ConfigMaps alone, even with the bundle label', async () => {
    await guardedPod();
    const labels = { 'sallyport.dev/bundle': 'mine' };
    await at.cluster.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: at.ns, name: 'settings', labels },
      data: { a: 'b' },
    });
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    expect(await at.cluster.configMap(at.ns, 'settings')).not.to.equal(undefined);
  });
});

describe('controller on a real API server: statuses', function () {
  this.timeout(120_000);
  const at = setUp();
  const { see, version, readyReason, guardedPod } = at;

  it('reports an invalid policy in a condition and an event, and keeps its last valid version active', async () => {
    await guardedPod();
    await at.cluster.policy(AP, 'p', at.ns, { rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/8'] } }] }] });
    await see(async () => (await readyReason(AP, 'p')) === 'Published', 'the status');
    const before = await version();
    await at.cluster.policy(AP, 'p', at.ns, { rules: [{ from: [{ source: { ipBlocks: ['nonsense'] } }] }] });
    await see(async () => (await at.cluster.condition(AP, 'p', at.ns, 'Accepted'))?.status === 'False', 'the refusal');

    const accepted = await at.cluster.condition(AP, 'p', at.ns, 'Accepted');
    expect(accepted).to.include({ reason: 'Invalid', observedGeneration: 2 });
    expect(accepted?.message).to.contain('nonsense').and.to.contain('Generation 1 remains active');
    expect(await at.cluster.condition(AP, 'p', at.ns, 'Ready')).to.include({ status: 'False', reason: 'NotAccepted' });
    expect(await version()).to.equal(before);
    await see(
      async () => (await at.cluster.events(at.ns)).some((event) => event['reason'] === 'Invalid' && event['type'] === 'Warning'),
      'the event',
    );
  });

  it('reports the fields that need a peer identity', async () => {
    await guardedPod();
    await at.cluster.policy(AP, 'p', at.ns, { rules: [{ from: [{ source: { principals: ['cluster.local/ns/x/sa/y'] } }] }] });
    await see(async () => (await at.cluster.condition(AP, 'p', at.ns, 'Accepted'))?.reason === 'NeedsPeerIdentity', 'the warning');
    expect((await at.cluster.condition(AP, 'p', at.ns, 'Accepted'))?.message).to.contain('spec.rules[0].from[0].source.principals');
  });

  it('keeps the conditions of other controllers', async () => {
    await guardedPod();
    const foreign = {
      type: 'ZtunnelAccepted',
      status: 'True',
      reason: 'Accepted',
      message: 'by another',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    await at.cluster.policy(AP, 'p', at.ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'p')) === 'Published', 'the status');
    const path = `/apis/security.istio.io/v1/namespaces/${at.ns}/authorizationpolicies/p`;
    const { json: now } = await at.cluster.client.request({ method: 'GET', path });
    const conditions = [foreign, ...(now as { status: { conditions: object[] } }).status.conditions];
    await at.cluster.client.request({
      method: 'PATCH',
      path: `${path}/status`,
      body: { status: { conditions } },
      contentType: 'application/merge-patch+json',
    });
    await at.cluster.policy(AP, 'p', at.ns, { ...DENY_GET, action: 'ALLOW' });
    await see(async () => (await at.cluster.condition(AP, 'p', at.ns, 'Ready'))?.observedGeneration === 2, 'the new status');

    expect(await at.cluster.condition(AP, 'p', at.ns, 'ZtunnelAccepted')).to.deep.equal(foreign);
  });

  it('does not write a status again of which an istiod has made the generations strings', async () => {
    await at.cluster.policy(AP, 'p', at.ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'p')) === 'SelectsNothing', 'the status');
    const path = `/apis/security.istio.io/v1/namespaces/${at.ns}/authorizationpolicies/p`;
    const { json: now } = await at.cluster.client.request({ method: 'GET', path });
    const { conditions } = (now as { status: { conditions: readonly object[] } }).status;
    const status = { observedGeneration: '1', conditions: conditions.map((condition) => ({ ...condition, observedGeneration: '1' })) };
    const contentType = 'application/merge-patch+json';
    await at.cluster.client.request({ method: 'PATCH', path: `${path}/status`, body: { status }, contentType });
    // Seen after the status of the first one.
    await at.cluster.policy(AP, 'q', at.ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'q')) === 'SelectsNothing', 'the status of the next policy');

    const { json: later } = await at.cluster.client.request({ method: 'GET', path });
    expect((later as { status: object }).status).to.deep.equal(status);
  });

  it('reports a workload without an agent', async () => {
    await at.cluster.pod({ namespace: at.ns, name: 'bare', agent: false });
    await at.cluster.policy(AP, 'p', at.ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'p')) === 'NoAgent', 'the status');
    expect((await at.cluster.condition(AP, 'p', at.ns, 'Ready'))?.message).to.contain(`${at.ns}/pod/bare`);
  });
});

describe('controller on a real API server: keys', function () {
  this.timeout(120_000);
  const at = setUp();
  const { see, kidsOf, readyReason, guardedPod } = at;

  it('publishes fetched keys together with their policy, follows a rotation, and keeps the last good keys', async () => {
    await guardedPod();
    const path = `/keys-${at.ns}`;
    at.keys.answer(path, json(freshJwks('one'), { 'cache-control': 'max-age=1' }));
    await at.cluster.policy(RA, 'jwt', at.ns, { jwtRules: [{ issuer: 'me', jwksUri: `${at.keys.origin}${path}` }] });
    await see(async () => (await kidsOf()).join() === 'one', 'the keys');
    await see(async () => (await readyReason(RA, 'jwt')) === 'Published', 'the status');

    at.keys.answer(path, json(freshJwks('two')));
    await see(async () => (await kidsOf()).join() === 'two', 'the rotated keys');

    at.keys.answer(path, (_request, response) => response.writeHead(503).end());
    await see(async () => (await readyReason(RA, 'jwt')) === 'KeysStale', 'the status while the issuer is down');
    expect(await kidsOf()).to.deep.equal(['two']);
    await see(async () => (await at.cluster.events(at.ns)).some((event) => event['reason'] === 'KeysStale'), 'the event');
  });

  it('publishes no keys for an issuer that never responded, and reports it', async () => {
    await guardedPod();
    await at.cluster.policy(RA, 'jwt', at.ns, { jwtRules: [{ issuer: 'me', jwksUri: `${at.keys.origin}/nowhere-${at.ns}` }] });
    await see(async () => (await readyReason(RA, 'jwt')) === 'KeysUnavailable', 'the status');
    const bundle = await at.cluster.bundle(at.ns, 'httpbin');
    expect(bundle?.programs[0]?.providers).to.have.length(1);
    expect(bundle?.keySets).to.deep.equal({});
  });
});
