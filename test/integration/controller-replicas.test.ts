/*
 * The controller as a process on a real API server, with exactly the permissions that the manifests grant: several replicas,
 * probes and the webhook.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { BUNDLE_TOUCH_ANNOTATION, DIGEST_ANNOTATION } from '../../src/api/kube/names.ts';
import { refusedRequests, writesOf } from '../cluster/audit.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { ACCOUNT, AP, DENY_GET, manifests, RA, setUp } from '../support/controller-stage.ts';
import { freshJwks, json } from '../support/key-server.ts';

describe('controller on a real API server: replicas, probes and the webhook', function () {
  this.timeout(120_000);
  const at = setUp();
  const { start, stop, see, version, rulesOf, kidsOf, readyReason, guardedPod } = at;

  it('lets one replica lead, and another take over with the published keys when the issuer is down', async () => {
    await guardedPod();
    const path = `/keys-${at.ns}`;
    at.keys.answer(path, json(freshJwks('kept')));
    at.keys.answer('/root', json(freshJwks('root')));
    await at.cluster.namespace('istio-system');
    await at.cluster.policy(RA, 'root', 'istio-system', { jwtRules: [{ issuer: 'root', jwksUri: `${at.keys.origin}/root` }] });
    await at.cluster.policy(RA, 'jwt', at.ns, { jwtRules: [{ issuer: 'me', jwksUri: `${at.keys.origin}${path}` }] });
    await see(async () => (await kidsOf()).toSorted().join() === 'kept,root', 'the keys');
    for (const down of [path, '/root']) at.keys.answer(down, (_request, response) => response.writeHead(503).end());
    const before = await version();
    const second = await start('two');
    await see(async () => (await second.get('/readyz')).status === 200, 'readiness of the second');
    expect(await second.metric('leader_election_master_status{name="sallyport-controller"}')).to.equal(0);

    const ended = await stop(at.controller);
    expect(ended.code).to.equal(0);
    expect(ended.tookMs).to.be.lessThan(10_000);
    await see(async () => (await second.metric('leader_election_master_status{name="sallyport-controller"}')) === 1, 'the second to lead');
    await see(async () => (await second.metric('sallyport_bundles{state="pending"}')) === 0, 'everything to be published');

    expect((await kidsOf()).toSorted()).to.deep.equal(['kept', 'root']);
    expect(await version()).to.equal(before);
    await see(async () => (await readyReason(RA, 'jwt')) === 'KeysStale', 'the status by the second');
    expect(await at.cluster.condition(RA, 'jwt', at.ns, 'Accepted')).to.include({ status: 'True' });
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'no-get', 'the second to publish');
    at.controller = second;

    const old = at.ns;
    at.ns = `${old}-new`;
    await at.cluster.namespace(at.ns);
    await guardedPod();
    expect(await kidsOf(), 'the keys of the root policy in a new namespace').to.deep.equal(['root']);
    await at.cluster.deletePolicy(RA, 'root', 'istio-system');
    at.ns = old;
  });

  it('writes nothing when a standby takes over and nothing has changed', async () => {
    const peers = { rules: [{ from: [{ source: { principals: ['cluster.local/ns/x/sa/y'] } }] }] };
    const reasons = { 'no-get': 'AcceptedWithWarnings', nothing: 'Accepted', peers: 'NeedsPeerIdentity' };
    for (const name of ['httpbin', 'sleep']) await at.cluster.pod({ namespace: at.ns, name, labels: { app: name } });
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await at.cluster.policy(AP, 'nothing', at.ns, {});
    await at.cluster.policy(AP, 'peers', at.ns, peers);
    const statuses = (): Promise<readonly unknown[]> =>
      Promise.all(Object.keys(reasons).flatMap((name) => ['Accepted', 'Ready'].map((type) => at.cluster.condition(AP, name, at.ns, type))));
    await see(async () => {
      const accepted = await Promise.all(Object.keys(reasons).map((name) => at.cluster.condition(AP, name, at.ns, 'Accepted')));
      return accepted.map((condition) => condition?.reason).join() === Object.values(reasons).join();
    }, 'the findings in the statuses');
    for (const name of Object.keys(reasons)) await see(async () => (await readyReason(AP, name)) === 'Published', `the status of ${name}`);
    for (const workload of ['httpbin', 'sleep']) {
      const digest = (await at.cluster.configMap(at.ns, `sallyport-bundle-pod.${workload}.0`))?.metadata?.annotations?.[DIGEST_ANNOTATION];
      await see(
        async () => (await at.cluster.readPod(at.ns, workload))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION] === digest,
        `the pod annotation of ${workload}`,
      );
    }
    const standby = await start('standby');
    await see(async () => (await standby.get('/readyz')).status === 200, 'readiness of the standby');
    const before = { statuses: await statuses(), versions: [await version('httpbin'), await version('sleep')] };
    const sinceMs = Date.now();

    await stop(at.controller);
    at.controller = standby;
    await see(
      async () => (await standby.metric('leader_election_master_status{name="sallyport-controller"}')) === 1,
      'the standby to lead',
    );
    const handled = async (queue: string, wanted: number): Promise<boolean> =>
      ((await standby.metric(`controller_runtime_reconcile_total{controller="${queue}",result="success"}`)) ?? 0) >= wanted &&
      (await standby.metric(`workqueue_depth{name="${queue}"}`)) === 0;
    await see(async () => (await handled('workload', 2)) && (await handled('policy-status', 3)), 'all bundles and statuses to be verified');
    await delay(500);

    const writes = await writesOf(at.controlPlane.auditLogPath ?? '', ACCOUNT, sinceMs);
    expect(writes.filter((write) => write.includes(`/namespaces/${at.ns}/`))).to.deep.equal([]);
    expect({ statuses: await statuses(), versions: [await version('httpbin'), await version('sleep')] }).to.deep.equal(before);
    expect(await standby.metric('sallyport_status_write_total{result="unchanged"}')).to.be.at.least(3);

    await at.cluster.policy(AP, 'no-get', at.ns, { action: 'DENY', rules: [{ to: [{ operation: { methods: ['PUT'] } }] }] });
    await see(
      async () => (await at.cluster.condition(AP, 'no-get', at.ns, 'Ready'))?.observedGeneration === 2,
      'the standby to publish a change',
    );
  });

  it('writes nothing as a leader that was suspended while another one took over', async () => {
    const leads = async (one: ControllerProcess): Promise<boolean> =>
      (await one.metric('leader_election_master_status{name="sallyport-controller"}')) === 1;
    await guardedPod();
    await at.cluster.policy(AP, 'before', at.ns, DENY_GET);
    await see(async () => (await rulesOf())?.join() === 'before', 'the first policy');
    const standby = await start('awake');
    await see(async () => (await standby.get('/readyz')).status === 200, 'readiness of the standby');
    const suspended = at.controller;
    process.kill(suspended.pid, 'SIGSTOP');
    try {
      await see(() => leads(standby), 'the standby to lead');
      await at.cluster.policy(AP, 'meanwhile', at.ns, DENY_GET);
      await see(async () => (await rulesOf())?.join() === 'before,meanwhile', 'the standby to publish');
      await see(async () => (await readyReason(AP, 'meanwhile')) === 'Published', 'the status by the standby');
    } finally {
      process.kill(suspended.pid, 'SIGCONT');
    }
    at.controller = standby;
    const published = await version();
    await see(async () => !(await leads(suspended)), 'the other to notice');
    // It has seen what happened meanwhile, and leaves it to the leader.
    await see(async () => (await suspended.metric('workqueue_depth{name="workload"}')) === 0, 'its queue to be empty');
    await delay(1_000);

    expect(await version()).to.equal(published);
    expect(await leads(standby)).to.equal(true);
    await stop(suspended);
  });

  it('serves probes and metrics', async () => {
    expect((await at.controller.get('/healthz')).text).to.equal('ok\n');
    expect((await at.controller.get('/readyz/pods-synced')).status).to.equal(200);
    expect((await at.controller.get('/readyz/nothing')).status).to.equal(404);
    const { text } = await at.controller.get('/metrics');
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
    for (const object of manifests()) if (wanted.includes(object.kind)) await at.cluster.apply(object);
    await stop(at.controller);
    const serving = await start('three', { SALLYPORT_WEBHOOK: 'true', SALLYPORT_WEBHOOK_PORT: '0', SALLYPORT_AGENT_IMAGE: 'agent:1' });
    await see(async () => (await serving.get('/readyz')).status === 200, 'readiness');
    expect((await serving.get('/readyz?verbose')).text).to.contain('[+]webhook ok');
    const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sallyport-injection';
    const caBundle = async (): Promise<string | undefined> => {
      const { json: found } = await at.cluster.client.request({ method: 'GET', path });
      return (found as { webhooks: { clientConfig: { caBundle?: string } }[] }).webhooks[0]?.clientConfig.caBundle;
    };
    await see(async () => ((await caBundle()) ?? '') !== '', 'the CA bundle');
    const ended = await stop(serving);
    expect(ended.code).to.equal(0);
  });

  it('was denied no request by the API server, as itself or as another user', async () => {
    expect(await refusedRequests(at.controlPlane.auditLogPath ?? '')).to.deep.equal([]);
  });
});
