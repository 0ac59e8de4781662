/*
 * The controller as a process on a real API server, with exactly the permissions that the manifests grant.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { BUNDLE_TOUCH_ANNOTATION, DIGEST_ANNOTATION } from '../../src/api/kube/names.ts';
import type { AppliedObject } from '../../src/cluster/apply.ts';
import { refusedRequests, writesOf } from '../cluster/audit.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { freshJwks, json, type KeyServer, startKeyServer } from '../support/key-server.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';

const PATIENCE_MS = 15_000;
const SYSTEM = 'sallyport-system';
const RA = 'RequestAuthentication';
const AP = 'AuthorizationPolicy';
const ACCOUNT = `system:serviceaccount:${SYSTEM}:sallyport`;
/** The manifests that grant permissions; the others need a cluster that runs pods. */
const RIGHTS: readonly string[] = ['Namespace', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];
const INSTALL = new URL('../../manifests/install.yaml', import.meta.url);
const DENY_GET = { action: 'DENY', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };

/** Everything that one `kubectl apply` installs, without the CRDs. */
function manifests(): readonly AppliedObject[] {
  return parseAllDocuments(readFileSync(INSTALL, 'utf8')).map((document) => document.toJS() as AppliedObject);
}

describe('controller on a real API server', function () {
  this.timeout(120_000);
  let controlPlane: ControlPlane;
  let cluster: PolicyCluster;
  let controller: ControllerProcess;
  let keys: KeyServer;
  const running = new Set<ControllerProcess>();
  let spaces = 0;
  let ns: string;

  const start = async (name: string, env: Readonly<Record<string, string>> = {}): Promise<ControllerProcess> => {
    const started = await startController({
      kubeconfig: await controlPlane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]),
      name,
      namespace: SYSTEM,
      env: { SALLYPORT_JWKS_REFRESH: '1s', ...env },
    });
    running.add(started);
    return started;
  };
  const stop = async (one: ControllerProcess): Promise<{ readonly code: number | null; readonly tookMs: number }> => {
    running.delete(one);
    return one.stop();
  };
  const see = (condition: () => Promise<boolean>, what: string): Promise<void> => until(condition, what, PATIENCE_MS);
  const version = async (workload = 'httpbin'): Promise<string | undefined> =>
    (await cluster.configMap(ns, `sallyport-${workload}`))?.metadata?.resourceVersion;
  const rulesOf = async (workload = 'httpbin'): Promise<readonly string[] | undefined> => {
    const bundle = await cluster.bundle(ns, workload);
    return bundle?.programs.flatMap(({ http }) => [...http.deny.rules, ...http.allow.rules].map((rule) => rule.source.name));
  };
  const kidsOf = async (): Promise<readonly (string | undefined)[]> => {
    const bundle = await cluster.bundle(ns, 'httpbin');
    return Object.values(bundle?.keySets ?? {}).flatMap((keySet) => keySet.keys.map((key) => key['kid']));
  };
  const readyReason = async (kind: typeof RA | typeof AP, name: string): Promise<string | undefined> =>
    (await cluster.condition(kind, name, ns, 'Ready'))?.reason;
  const guardedPod = async (): Promise<void> => {
    await cluster.pod({ namespace: ns, name: 'httpbin', labels: { app: 'httpbin' } });
    await see(async () => (await version()) !== undefined, 'the bundle');
  };

  before(async () => {
    controlPlane = await startControlPlane({ audit: true });
    cluster = await openPolicyCluster(controlPlane.kubeconfigPath);
    for (const object of manifests()) if (RIGHTS.includes(object.kind)) await cluster.apply(object);
    keys = await startKeyServer();
    controller = await start('one');
    await see(async () => (await controller.get('/readyz')).status === 200, 'readiness');
    await see(async () => (await controller.metric('leader_election_master_status{name="sallyport-controller"}')) === 1, 'leadership');
  });

  beforeEach(async () => {
    spaces += 1;
    ns = `test-${spaces}`;
    await cluster.namespace(ns);
  });

  after(async () => {
    await Promise.all([...running].map(stop));
    await keys?.stop();
    await cluster?.close();
    await controlPlane?.stop();
  });

  it('publishes a bundle for a workload with an agent, and none for a workload without', async () => {
    await cluster.pod({ namespace: ns, name: 'bare', agent: false });
    await guardedPod();

    const configMap = await cluster.configMap(ns, 'sallyport-httpbin');
    expect(configMap?.metadata?.labels).to.include({ 'sallyport.dev/workload': 'httpbin', 'app.kubernetes.io/managed-by': 'sallyport' });
    expect(configMap?.metadata?.['ownerReferences']).to.have.length(1);
    const bundle = await cluster.bundle(ns, 'httpbin');
    expect(bundle?.workload).to.deep.equal({ namespace: ns, name: 'httpbin' });
    expect(bundle?.programs[0]?.http.allow.attached).to.equal(false);
    expect(await cluster.configMap(ns, 'sallyport-bare')).to.equal(undefined);
  });

  it('publishes a policy that selects the workload, annotates its pod, and reports it in the status', async () => {
    await guardedPod();
    const allowGet = { selector: { matchLabels: { app: 'httpbin' } }, rules: DENY_GET.rules };
    await cluster.policy(AP, 'only-get', ns, allowGet);
    await see(async () => (await rulesOf())?.join() === 'only-get', 'the rule in the bundle');

    const digest = (await cluster.configMap(ns, 'sallyport-httpbin'))?.metadata?.annotations?.[DIGEST_ANNOTATION];
    await see(
      async () => (await cluster.readPod(ns, 'httpbin'))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION] === digest,
      'the pod annotation',
    );
    await see(async () => (await readyReason(AP, 'only-get')) === 'Published', 'the status');
    const ready = await cluster.condition(AP, 'only-get', ns, 'Ready');
    expect(ready).to.include({ status: 'True', observedGeneration: 1, message: 'Published to 1 of 1 selected workloads with an agent' });
    expect(await cluster.condition(AP, 'only-get', ns, 'Accepted')).to.include({ status: 'True', reason: 'Accepted' });
  });

  it('writes nothing when a change makes no difference to the bundle', async () => {
    await guardedPod();
    await cluster.policy(AP, 'no-get', ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'no-get')) === 'Published', 'the status');
    const before = await version();

    await cluster.policy(AP, 'elsewhere', ns, { selector: { matchLabels: { app: 'other' } }, ...DENY_GET });
    await cluster.pod({ namespace: ns, name: 'httpbin', labels: { app: 'httpbin', irrelevant: 'yes' } });
    await see(async () => (await readyReason(AP, 'elsewhere')) === 'SelectsNothing', 'the status of the other policy');
    await delay(500);

    expect(await version()).to.equal(before);
    const policy = await cluster.apply({
      apiVersion: 'security.istio.io/v1',
      kind: AP,
      metadata: { name: 'no-get', namespace: ns },
      spec: DENY_GET,
    });
    await delay(500);
    expect((await cluster.policy(AP, 'no-get', ns, DENY_GET)).metadata?.resourceVersion).to.equal(policy.metadata?.resourceVersion);
  });

  it('follows a relabelled pod', async () => {
    await guardedPod();
    await cluster.policy(AP, 'no-get', ns, { selector: { matchLabels: { stage: 'prod' } }, ...DENY_GET });
    await see(async () => (await readyReason(AP, 'no-get')) === 'SelectsNothing', 'the status');
    expect(await rulesOf()).to.deep.equal([]);

    await cluster.pod({ namespace: ns, name: 'httpbin', labels: { app: 'httpbin', stage: 'prod' } });
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    expect((await cluster.bundle(ns, 'httpbin'))?.variants).to.deep.equal([{ labels: { stage: 'prod' }, program: 0 }]);
    await see(async () => (await readyReason(AP, 'no-get')) === 'Published', 'the status');
  });

  it('removes a deleted policy from the bundle, and the bundle with the last pod', async () => {
    await guardedPod();
    await cluster.policy(AP, 'no-get', ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    await cluster.deletePolicy(AP, 'no-get', ns);
    await see(async () => (await rulesOf())?.length === 0, 'a bundle without the rule');

    await cluster.deletePod(ns, 'httpbin');
    await see(async () => (await version()) === undefined, 'the bundle to be removed');
  });

  it('repairs a bundle that was changed, extended, made immutable or deleted by others', async () => {
    await guardedPod();
    await cluster.policy(AP, 'no-get', ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    const good = (await cluster.configMap(ns, 'sallyport-httpbin'))?.['data'];
    const path = `/api/v1/namespaces/${ns}/configmaps/sallyport-httpbin`;
    const tamper = (body: object): Promise<unknown> =>
      cluster.client.request({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' });
    const isRepaired = async (): Promise<boolean> => {
      const now = await cluster.configMap(ns, 'sallyport-httpbin');
      const isLabelled = now?.metadata?.labels?.['sallyport.dev/bundle'] !== undefined;
      return JSON.stringify(now?.['data']) === JSON.stringify(good) && now?.['immutable'] === undefined && isLabelled;
    };

    for (const change of [
      { data: { 'bundle.json': '{}' } },
      { data: { 'extra.json': '{}' } },
      { data: { 'bundle.sha256': null } },
      { metadata: { labels: { 'sallyport.dev/bundle': null } } },
      { data: { 'bundle.json': '{}' }, immutable: true },
      // Without the label the watch reports neither the ConfigMap nor that it is immutable.
      { metadata: { labels: { 'sallyport.dev/bundle': null } }, data: { 'bundle.json': '{}' }, immutable: true },
    ]) {
      const before = await version();
      await tamper(change);
      await see(async () => (await version()) !== before && (await isRepaired()), `repair of ${JSON.stringify(change)}`);
    }
    await cluster.client.request({ method: 'DELETE', path });
    await see(isRepaired, 'the deleted bundle to come back');
  });

  it('removes a bundle that belongs to no workload', async () => {
    await guardedPod();
    const configMap = await cluster.configMap(ns, 'sallyport-httpbin');
    const { labels = {}, annotations = {} } = configMap?.metadata ?? {};
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: ns, name: 'sallyport-ghost', labels, annotations: { ...annotations, 'sallyport.dev/workload': 'ghost' } },
      data: { 'bundle.json': '{}' },
    });
    await see(async () => (await cluster.configMap(ns, 'sallyport-ghost')) === undefined, 'the bundle of no workload to be removed');
  });

  it('leaves other ConfigMaps alone, even with the bundle label', async () => {
    await guardedPod();
    const labels = { 'sallyport.dev/bundle': 'mine' };
    await cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: ns, name: 'settings', labels }, data: { a: 'b' } });
    await cluster.policy(AP, 'no-get', ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    expect(await cluster.configMap(ns, 'settings')).not.to.equal(undefined);
  });

  it('reports an invalid policy in a condition and an event, and keeps its last valid version active', async () => {
    await guardedPod();
    await cluster.policy(AP, 'p', ns, { rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/8'] } }] }] });
    await see(async () => (await readyReason(AP, 'p')) === 'Published', 'the status');
    const before = await version();
    await cluster.policy(AP, 'p', ns, { rules: [{ from: [{ source: { ipBlocks: ['nonsense'] } }] }] });
    await see(async () => (await cluster.condition(AP, 'p', ns, 'Accepted'))?.status === 'False', 'the refusal');

    const accepted = await cluster.condition(AP, 'p', ns, 'Accepted');
    expect(accepted).to.include({ reason: 'Invalid', observedGeneration: 2 });
    expect(accepted?.message).to.contain('nonsense').and.to.contain('Generation 1 remains active');
    expect(await cluster.condition(AP, 'p', ns, 'Ready')).to.include({ status: 'False', reason: 'NotAccepted' });
    expect(await version()).to.equal(before);
    await see(
      async () => (await cluster.events(ns)).some((event) => event['reason'] === 'Invalid' && event['type'] === 'Warning'),
      'the event',
    );
  });

  it('reports the fields that need a peer identity', async () => {
    await guardedPod();
    await cluster.policy(AP, 'p', ns, { rules: [{ from: [{ source: { principals: ['cluster.local/ns/x/sa/y'] } }] }] });
    await see(async () => (await cluster.condition(AP, 'p', ns, 'Accepted'))?.reason === 'NeedsPeerIdentity', 'the warning');
    expect((await cluster.condition(AP, 'p', ns, 'Accepted'))?.message).to.contain('spec.rules[0].from[0].source.principals');
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
    await cluster.policy(AP, 'p', ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'p')) === 'Published', 'the status');
    const path = `/apis/security.istio.io/v1/namespaces/${ns}/authorizationpolicies/p`;
    const { json: now } = await cluster.client.request({ method: 'GET', path });
    const conditions = [foreign, ...(now as { status: { conditions: object[] } }).status.conditions];
    await cluster.client.request({
      method: 'PATCH',
      path: `${path}/status`,
      body: { status: { conditions } },
      contentType: 'application/merge-patch+json',
    });
    await cluster.policy(AP, 'p', ns, { ...DENY_GET, action: 'ALLOW' });
    await see(async () => (await cluster.condition(AP, 'p', ns, 'Ready'))?.observedGeneration === 2, 'the new status');

    expect(await cluster.condition(AP, 'p', ns, 'ZtunnelAccepted')).to.deep.equal(foreign);
  });

  it('reports a workload without an agent', async () => {
    await cluster.pod({ namespace: ns, name: 'bare', agent: false });
    await cluster.policy(AP, 'p', ns, DENY_GET);
    await see(async () => (await readyReason(AP, 'p')) === 'NoAgent', 'the status');
    expect((await cluster.condition(AP, 'p', ns, 'Ready'))?.message).to.contain(`${ns}/bare`);
  });

  it('publishes fetched keys together with their policy, follows a rotation, and keeps the last good keys', async () => {
    await guardedPod();
    const path = `/keys-${ns}`;
    keys.answer(path, json(freshJwks('one'), { 'cache-control': 'max-age=1' }));
    await cluster.policy(RA, 'jwt', ns, { jwtRules: [{ issuer: 'me', jwksUri: `${keys.origin}${path}` }] });
    await see(async () => (await kidsOf()).join() === 'one', 'the keys');
    await see(async () => (await readyReason(RA, 'jwt')) === 'Published', 'the status');

    keys.answer(path, json(freshJwks('two')));
    await see(async () => (await kidsOf()).join() === 'two', 'the rotated keys');

    keys.answer(path, (_request, response) => response.writeHead(503).end());
    await see(async () => (await readyReason(RA, 'jwt')) === 'KeysStale', 'the status while the issuer is down');
    expect(await kidsOf()).to.deep.equal(['two']);
    await see(async () => (await cluster.events(ns)).some((event) => event['reason'] === 'KeysStale'), 'the event');
  });

  it('publishes no keys for an issuer that never responded, and reports it', async () => {
    await guardedPod();
    await cluster.policy(RA, 'jwt', ns, { jwtRules: [{ issuer: 'me', jwksUri: `${keys.origin}/nowhere-${ns}` }] });
    await see(async () => (await readyReason(RA, 'jwt')) === 'KeysUnavailable', 'the status');
    const bundle = await cluster.bundle(ns, 'httpbin');
    expect(bundle?.programs[0]?.providers).to.have.length(1);
    expect(bundle?.keySets).to.deep.equal({});
  });

  it('lets one replica lead, and another take over with the published keys when the issuer is down', async () => {
    await guardedPod();
    const path = `/keys-${ns}`;
    keys.answer(path, json(freshJwks('kept')));
    await cluster.policy(RA, 'jwt', ns, { jwtRules: [{ issuer: 'me', jwksUri: `${keys.origin}${path}` }] });
    await see(async () => (await kidsOf()).join() === 'kept', 'the keys');
    keys.answer(path, (_request, response) => response.writeHead(503).end());
    const before = await version();
    const second = await start('two');
    await see(async () => (await second.get('/readyz')).status === 200, 'readiness of the second');
    expect(await second.metric('leader_election_master_status{name="sallyport-controller"}')).to.equal(0);

    const ended = await stop(controller);
    expect(ended.code).to.equal(0);
    expect(ended.tookMs).to.be.lessThan(10_000);
    await see(async () => (await second.metric('leader_election_master_status{name="sallyport-controller"}')) === 1, 'the second to lead');
    await see(async () => (await second.metric('sallyport_bundles{state="pending"}')) === 0, 'everything to be published');

    expect(await kidsOf()).to.deep.equal(['kept']);
    expect(await version()).to.equal(before);
    await see(async () => (await readyReason(RA, 'jwt')) === 'KeysStale', 'the status by the second');
    expect(await cluster.condition(RA, 'jwt', ns, 'Accepted')).to.include({ status: 'True' });
    await cluster.policy(AP, 'no-get', ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the second to publish');
    controller = second;
  });

  it('writes nothing when a standby takes over and nothing has changed', async () => {
    const peers = { rules: [{ from: [{ source: { principals: ['cluster.local/ns/x/sa/y'] } }] }] };
    const reasons = { 'no-get': 'AcceptedWithWarnings', nothing: 'Accepted', peers: 'NeedsPeerIdentity' };
    for (const name of ['httpbin', 'sleep']) await cluster.pod({ namespace: ns, name, labels: { app: name } });
    await cluster.policy(AP, 'no-get', ns, DENY_GET);
    await cluster.policy(AP, 'nothing', ns, {});
    await cluster.policy(AP, 'peers', ns, peers);
    const statuses = (): Promise<readonly unknown[]> =>
      Promise.all(Object.keys(reasons).flatMap((name) => ['Accepted', 'Ready'].map((type) => cluster.condition(AP, name, ns, type))));
    await see(async () => {
      const accepted = await Promise.all(Object.keys(reasons).map((name) => cluster.condition(AP, name, ns, 'Accepted')));
      return accepted.map((condition) => condition?.reason).join() === Object.values(reasons).join();
    }, 'the findings in the statuses');
    for (const name of Object.keys(reasons)) await see(async () => (await readyReason(AP, name)) === 'Published', `the status of ${name}`);
    for (const workload of ['httpbin', 'sleep']) {
      const digest = (await cluster.configMap(ns, `sallyport-${workload}`))?.metadata?.annotations?.[DIGEST_ANNOTATION];
      await see(
        async () => (await cluster.readPod(ns, workload))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION] === digest,
        `the pod annotation of ${workload}`,
      );
    }
    const standby = await start('standby');
    await see(async () => (await standby.get('/readyz')).status === 200, 'readiness of the standby');
    const before = { statuses: await statuses(), versions: [await version('httpbin'), await version('sleep')] };
    const sinceMs = Date.now();

    await stop(controller);
    controller = standby;
    await see(
      async () => (await standby.metric('leader_election_master_status{name="sallyport-controller"}')) === 1,
      'the standby to lead',
    );
    const handled = async (queue: string, wanted: number): Promise<boolean> =>
      ((await standby.metric(`controller_runtime_reconcile_total{controller="${queue}",result="success"}`)) ?? 0) >= wanted &&
      (await standby.metric(`workqueue_depth{name="${queue}"}`)) === 0;
    await see(async () => (await handled('workload', 2)) && (await handled('policy-status', 3)), 'all bundles and statuses to be verified');
    await delay(500);

    const writes = await writesOf(controlPlane.auditLogPath ?? '', ACCOUNT, sinceMs);
    expect(writes.filter((write) => write.includes(`/namespaces/${ns}/`))).to.deep.equal([]);
    expect({ statuses: await statuses(), versions: [await version('httpbin'), await version('sleep')] }).to.deep.equal(before);
    expect(await standby.metric('sallyport_status_write_total{result="unchanged"}')).to.be.at.least(3);

    await cluster.policy(AP, 'no-get', ns, { action: 'DENY', rules: [{ to: [{ operation: { methods: ['PUT'] } }] }] });
    await see(
      async () => (await cluster.condition(AP, 'no-get', ns, 'Ready'))?.observedGeneration === 2,
      'the standby to publish a change',
    );
  });

  it('serves probes and metrics', async () => {
    expect((await controller.get('/healthz')).text).to.equal('ok\n');
    expect((await controller.get('/readyz/pods-synced')).status).to.equal(200);
    expect((await controller.get('/readyz/nothing')).status).to.equal(404);
    const { text } = await controller.get('/metrics');
    for (const name of [
      'controller_runtime_reconcile_total',
      'workqueue_depth',
      'rest_client_requests_total',
      'sallyport_bundle_publish_total',
    ]) {
      expect(text).to.contain(`\n${name}{`);
    }
    expect(text).not.to.contain('result="bug"');
  });

  it('serves the webhook when configured, with a certificate that it issues itself', async () => {
    const wanted = ['Secret', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];
    for (const object of manifests()) if (wanted.includes(object.kind)) await cluster.apply(object);
    await stop(controller);
    const serving = await start('three', { SALLYPORT_WEBHOOK: 'true', SALLYPORT_WEBHOOK_PORT: '0', SALLYPORT_AGENT_IMAGE: 'agent:1' });
    await see(async () => (await serving.get('/readyz')).status === 200, 'readiness');
    expect((await serving.get('/readyz?verbose')).text).to.contain('[+]webhook ok');
    const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sallyport-injection';
    const caBundle = async (): Promise<string | undefined> => {
      const { json: found } = await cluster.client.request({ method: 'GET', path });
      return (found as { webhooks: { clientConfig: { caBundle?: string } }[] }).webhooks[0]?.clientConfig.caBundle;
    };
    await see(async () => ((await caBundle()) ?? '') !== '', 'the CA bundle');
    const ended = await stop(serving);
    expect(ended.code).to.equal(0);
  });

  it('was denied no request by the API server, as itself or as another user', async () => {
    expect(await refusedRequests(controlPlane.auditLogPath ?? '')).to.deep.equal([]);
  });
});
