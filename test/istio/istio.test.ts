/*
 * Istio and Sallyport in one cluster, with a real istiod: one set of CRDs, one status of each policy, the webhooks of both on pods, and the
 * migration of a namespace from one to the other and back, as docs/tasks/migrate-from-istio.md describes it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { writesOf } from '../cluster/audit.ts';
import {
  type Cluster,
  deployment,
  expectGuards,
  guardOf,
  nameOf,
  recordedPolicies,
  type StoredPolicy,
  setUpCluster,
  statusOf,
} from './cluster.ts';
import * as products from './products.ts';

const OBSERVED_MS = 12_000;
const CRDS = new URL('../../crds/', import.meta.url).pathname;
const OUR_TYPES = ['Accepted', 'Ready', 'Enforced'];

function policy(namespace: string, name: string, spec: object): object {
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { namespace, name }, spec };
}

/** What `apply` sent, without fields that the API server adds. */
function specsOf(policies: readonly StoredPolicy[]): ReadonlyMap<string, object> {
  return new Map(policies.map((one) => [nameOf(one), one.spec ?? {}]));
}

/** Waits until both have read all policies, and both have written their conditions where Istio has any. */
async function untilBothServe(at: Cluster): Promise<void> {
  await at.see(async () => {
    const all = await at.policies();
    const served = await at.istiod?.served();
    return all.map(nameOf).join() === served?.join() && all.every((one) => OUR_TYPES.every((type) => statusOf(one, type) !== undefined));
  }, 'both controllers to serve all policies');
}

describe('Istio, then Sallyport', function () {
  this.timeout(300_000);
  const at = setUpCluster();
  let written: ReadonlyMap<string, object>;

  before(async () => {
    await products.installIstio(at.plane);
    at.istiod = await products.startIstiod(at.plane);
    await at.namespace('corpus');
    await at.apply(...recordedPolicies('corpus'));
    written = specsOf(await at.policies());
    expect(written.size).to.be.greaterThan(100);
  });

  it('serves all policies next to Istio, with the CRDs of Istio', async () => {
    products.installSallyport(at.plane, ['--skip-crds']);
    at.sallyport = await products.startSallyport(at.plane);

    await untilBothServe(at);
    expect(specsOf(await at.policies())).to.deep.equal(written);
  });

  it('loses no field when its CRDs replace those of Istio', async () => {
    await at.kubectl('apply', '--server-side', '--force-conflicts', '-f', CRDS);
    await at.kubectl('wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all');
    await at.kubectl('annotate', 'requestauthentications,authorizationpolicies', '--all', '-n', 'corpus', 'example.com/touched=1');

    await untilBothServe(at);
    const now = specsOf(await at.policies());
    // The CRDs set the action that an absent one means.
    const expected = (name: string, spec: object): object =>
      name.startsWith('AuthorizationPolicy/') ? { action: 'ALLOW', ...spec } : spec;
    for (const [name, spec] of written) expect(now.get(name), name).to.deep.equal(expected(name, spec));
    expect(now.size).to.equal(written.size);
  });

  it('writes each status once, and keeps what Istio writes', async () => {
    await at.apply(policy('corpus', 'analyzed', { selector: { matchLabels: { app: 'nowhere' } }, action: 'DENY', rules: [{}] }));
    const settled = (one: StoredPolicy): boolean =>
      nameOf(one) !== 'AuthorizationPolicy/corpus/analyzed' ||
      ((one.status?.validationMessages ?? []).length > 0 && statusOf(one, 'ZtunnelAccepted') === 'True');
    await at.see(async () => (await at.policies()).every(settled), 'the analysis and the conditions of Istio');
    await untilBothServe(at);

    const versionsOf = async (): Promise<string> =>
      (await at.policies()).map((one) => `${nameOf(one)} ${one.metadata.resourceVersion}`).join('\n');
    await untilUnchanged(versionsOf);
    const sinceMs = Date.now();
    const before = await versionsOf();
    // What Istio analyzes again, it writes again.
    await at.apply(policy('default', 'another', { action: 'DENY', rules: [{}] }));
    await delay(OBSERVED_MS);
    expect(
      (await versionsOf())
        .split('\n')
        .filter((line) => !line.includes('default/another'))
        .join('\n'),
    ).to.equal(before);
    const ours = (await writesOf(at.plane.auditLogPath ?? '', products.SALLYPORT, sinceMs)).filter((write) => write.includes('/status'));
    expect(ours.filter((write) => !write.includes('another'))).to.deep.equal([]);
    expect(ours.length).to.be.within(1, 3);
    await at.kubectl('delete', 'authorizationpolicy', 'another', '-n', 'default');
  });

  it('brings back its conditions when Istio replaces the list of them', async () => {
    await at.apply(policy('corpus', 'analyzed', { selector: { matchLabels: { app: 'nowhere' } }, action: 'DENY', rules: [{ to: [] }] }));

    await at.see(async () => {
      const one = (await at.policies()).find((found) => nameOf(found) === 'AuthorizationPolicy/corpus/analyzed');
      return one?.metadata.generation === 2 && [...OUR_TYPES, 'ZtunnelAccepted'].every((type) => statusOf(one, type) !== undefined);
    }, 'the conditions of both about the new version');
  });

  it('leaves the policies to Istio when it is uninstalled', async () => {
    const before = specsOf(await at.policies());
    await at.sallyport?.stop();
    at.sallyport = undefined;
    products.helm(at.plane, 'uninstall', 'sallyport', '--namespace', products.SYSTEM);

    await at.apply(policy('corpus', 'later', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/later'] } }] }] }));
    await at.see(async () => (await at.istiod?.served())?.includes('AuthorizationPolicy/corpus/later') === true, 'Istio to serve it');
    await at.kubectl('delete', 'authorizationpolicy', 'later', '-n', 'corpus');
    expect(specsOf(await at.policies())).to.deep.equal(before);
    expect((await at.istiod?.served())?.length).to.equal(before.size);
  });

  it('serves the policies without Istio when Istio is uninstalled', async () => {
    products.installSallyport(at.plane, ['--skip-crds']);
    at.sallyport = await products.startSallyport(at.plane);
    const before = specsOf(await at.policies());
    const later = policy('corpus', 'later', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/later'] } }] }] });
    await products.uninstallIstiod(at.plane);
    await at.istiod?.stop();
    at.istiod = undefined;
    const refusal = await at.apply(later).catch((error: unknown) => String((error as { readonly stderr?: string }).stderr));
    expect(refusal).to.include('failed calling webhook "validation.istio.io"');
    products.uninstallIstioBase(at.plane);

    await at.apply(later);
    await at.see(
      async () => (await at.policies()).every((one) => OUR_TYPES.every((type) => statusOf(one, type) !== undefined)),
      'the conditions of all policies',
    );
    await at.kubectl('delete', 'authorizationpolicy', 'later', '-n', 'corpus');
    expect(specsOf(await at.policies())).to.deep.equal(before);
    expect(await at.kubectl('get', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-o', 'name')).not.to.include('istio');
  });
});

describe('Sallyport, then Istio', function () {
  this.timeout(300_000);
  const at = setUpCluster();

  before(async () => {
    // Of another field manager than those of Helm: the stricter case for the chart of Istio.
    await at.kubectl('apply', '--server-side', '-f', CRDS);
    products.installSallyport(at.plane, ['--skip-crds']);
    at.sallyport = await products.startSallyport(at.plane);
    await at.namespace('corpus');
    await at.apply(...recordedPolicies('corpus'));
  });

  it('serves all policies next to Sallyport when its CRDs replace those of Sallyport', async () => {
    const written = specsOf(await at.policies());
    await products.installIstio(at.plane, '--take-ownership', '--force-conflicts');
    at.istiod = await products.startIstiod(at.plane);

    await untilBothServe(at);
    expect(specsOf(await at.policies())).to.deep.equal(written);
  });

  const inNamespaces = {
    istio: ['istio-injection=enabled'],
    sallyport: ['sallyport.dev/injection=enabled'],
    both: ['istio-injection=enabled', 'sallyport.dev/injection=enabled'],
    ambient: ['istio.io/dataplane-mode=ambient', 'sallyport.dev/injection=enabled'],
  };
  const AMBIENT = { 'istio.io/dataplane-mode': 'ambient' };
  const OPTED_OUT = { 'istio.io/dataplane-mode': 'none' };
  /** Which data planes a pod ends up with; a string of several words: part of the refusal. */
  const outcomes: readonly (readonly [value: string, namespace: keyof typeof inNamespaces, labels: object, outcome: string])[] = [
    ['refuse', 'istio', {}, 'istio'],
    ['refuse', 'sallyport', {}, 'sallyport'],
    ['refuse', 'sallyport', AMBIENT, 'puts the pod into Istio'],
    ['refuse', 'both', {}, "container istio-init is Istio's: both data planes redirect the pod's connections"],
    ['refuse', 'ambient', {}, "of the namespace puts the pod into Istio's ambient mesh: both data planes redirect the pod's connections"],
    ['refuse', 'ambient', OPTED_OUT, 'sallyport'],
    ['skip', 'istio', {}, 'istio'],
    ['skip', 'sallyport', {}, 'sallyport'],
    ['skip', 'sallyport', AMBIENT, 'none'],
    ['skip', 'both', {}, 'istio'],
    ['skip', 'ambient', {}, 'none'],
    ['skip', 'ambient', OPTED_OUT, 'sallyport'],
    ['inject', 'istio', {}, 'istio'],
    ['inject', 'sallyport', AMBIENT, 'sallyport'],
    ['inject', 'both', {}, 'container istio-init has NET_ADMIN, which bypasses the agent'],
    ['inject', 'ambient', {}, 'sallyport'],
  ];

  for (const value of ['refuse', 'skip', 'inject']) {
    it(`leaves no pod to two data planes unless it is to: agent.istioPods is ${value}`, async () => {
      await products.upgradeSallyport(at, `agent.istioPods=${value}`);
      if (value === 'refuse') for (const [name, labels] of Object.entries(inNamespaces)) await at.namespace(name, ...labels);
      for (const [, namespace, labels, outcome] of outcomes.filter(([of]) => of === value)) {
        const found = await createPod(at, namespace, labels);
        const what = `${value} in ${namespace} with ${JSON.stringify(labels)}`;
        if (outcome.includes(' ')) expect(found, what).to.include(outcome);
        else expect(guardOf(found), `${what}: ${found}`).to.equal(outcome);
      }
    });
  }

  it('injects next to the proxy of Istio where containers with NET_ADMIN are only reported', async () => {
    await products.upgradeSallyport(at, 'agent.istioPods=inject', 'agent.privilegedContainers=report');
    expect(guardOf(await createPod(at, 'both', {}))).to.equal('both');
  });

  it('leaves no agent to a pod of Istio when its webhook is called before that of Istio', async () => {
    await at.sallyport?.stop();
    products.helm(at.plane, 'uninstall', 'sallyport', '--namespace', products.SYSTEM);
    products.installSallyport(at.plane, ['--skip-crds'], 'fullnameOverride=authz', 'agent.istioPods=skip');
    at.sallyport = await products.startSallyport(at.plane, 'authz');
    expect(guardOf(await createPod(at, 'both', {}))).to.equal('istio');
    expect(guardOf(await createPod(at, 'sallyport', {}))).to.equal('sallyport');
  });
});

/** Containers of a new pod, or the reason why it is refused. The pod is deleted. */
async function createPod(at: Cluster, namespace: string, labels: object): Promise<string> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'probe', namespace, labels: { app: 'probe', ...labels } },
    spec: { containers: [{ name: 'app', image: 'app:1', ports: [{ containerPort: 8080 }] }] },
  };
  try {
    await at.kubectl('wait', '--for=create', 'serviceaccount/default', '-n', namespace, '--timeout=30s');
    await at.apply(pod);
  } catch (error) {
    return String((error as { readonly stderr?: string }).stderr);
  }
  const [containers = ''] = await at.containers(namespace);
  await at.kubectl('delete', 'pod', 'probe', '-n', namespace, '--grace-period=0', '--force');
  return containers;
}

describe('the migration of a namespace', function () {
  this.timeout(300_000);
  const at = setUpCluster();
  let written: ReadonlyMap<string, object>;

  /** Rolls out and checks that every pod has exactly one of the two at every moment. */
  const rollOut = async (): Promise<void> =>
    at.rollOut('shop', 'web', (pods) => {
      expectGuards(pods, ['istio', 'sallyport']);
      return Promise.resolve();
    });
  const enforced = async (): Promise<string | undefined> => {
    const one = (await at.policies()).find((found) => nameOf(found) === 'AuthorizationPolicy/shop/deny-admin');
    return one?.status?.conditions?.find(({ type }) => type === 'Enforced')?.message;
  };

  before(async () => {
    await products.installIstio(at.plane);
    at.istiod = await products.startIstiod(at.plane);
    await at.namespace('shop', 'istio-injection=enabled');
    await at.apply(
      policy('shop', 'deny-admin', {
        selector: { matchLabels: { app: 'web' } },
        action: 'DENY',
        rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }],
      }),
      deployment('shop', 'web'),
    );
    await rollOut();
    expectGuards(await at.containers('shop'), ['istio']);
    written = specsOf(await at.policies());
  });

  it('reports pods of Istio as not enforced by Sallyport after the installation', async () => {
    products.installSallyport(at.plane, ['--skip-crds'], 'agent.istioPods=skip');
    at.sallyport = await products.startSallyport(at.plane);

    await at.see(async () => (await enforced()) !== undefined, 'the condition');
    expect(await enforced()).to.equal('Enforced on 0 of 1 selected workloads. In namespaces without injection: 1 (1 namespace: shop)');
    expect(await at.status('shop'))
      .to.match(/deny-admin .*False.*False/)
      .and.to.include('no workload has an agent');
  });

  it('changes nothing for running pods when the label of the namespace changes', async () => {
    await at.kubectl('label', 'namespace', 'shop', 'istio-injection-', 'istio.io/rev-', 'sallyport.dev/injection=enabled');

    await at.see(async () => (await enforced())?.includes('Without an agent: 1 (shop/deployment/web)') === true, 'the condition');
    expectGuards(await at.containers('shop'), ['istio']);
  });

  it('counts the agents while the Deployment is rolled out, and enforces at its end', async () => {
    await at.kubectl('rollout', 'restart', 'deployment/web', '-n', 'shop');
    await at.see(async () => (await at.containers('shop')).some((pod) => guardOf(pod) === 'sallyport'), 'the first pod');
    expect(new Set((await at.containers('shop')).map(guardOf))).to.deep.equal(new Set(['istio', 'sallyport']));
    await at.see(async () => /shop\/deployment\/web +3 +1 /.test(await at.status('shop')), 'the status of a part');
    expect(await at.status('shop')).to.match(/deny-admin .*True.*False/);

    await rollOut();
    expectGuards(await at.containers('shop'), ['sallyport']);
    await at.see(async () => (await enforced()) === 'Enforced on 1 of 1 selected workloads', 'the condition');
    expect(await at.status('shop')).to.match(/shop\/deployment\/web +2 +2 /);
  });

  it('goes on when Istio is uninstalled', async () => {
    await products.uninstallIstiod(at.plane);
    products.uninstallIstioBase(at.plane);
    await at.istiod?.stop();
    at.istiod = undefined;
    await at.kubectl('rollout', 'restart', 'deployment/web', '-n', 'shop');
    await rollOut();

    expectGuards(await at.containers('shop'), ['sallyport']);
    expect(specsOf(await at.policies())).to.deep.equal(written);
  });

  it('goes back to Istio in the same way, and leaves no bundle behind', async () => {
    await products.installIstio(at.plane);
    at.istiod = await products.startIstiod(at.plane);
    await at.kubectl('label', 'namespace', 'shop', 'sallyport.dev/injection-', 'istio-injection=enabled');
    expectGuards(await at.containers('shop'), ['sallyport']);
    await at.see(async () => (await enforced()) === 'Enforced on 1 of 1 selected workloads', 'the condition');
    await at.kubectl('rollout', 'restart', 'deployment/web', '-n', 'shop');
    await rollOut();

    expectGuards(await at.containers('shop'), ['istio']);
    await at.see(async () => (await enforced())?.startsWith('Enforced on 0 of 1') === true, 'the condition');
    expect(await at.status('shop')).to.include('no workload has an agent');
    await at.see(
      async () => !(await at.kubectl('get', 'configmaps', '-n', 'shop', '-o', 'name')).includes('sallyport'),
      'bundles to be removed',
    );
    await at.sallyport?.stop();
    at.sallyport = undefined;
    products.helm(at.plane, 'uninstall', 'sallyport', '--namespace', products.SYSTEM);
    expect(specsOf(await at.policies())).to.deep.equal(written);
    expect(await at.istiod?.served()).to.deep.equal(['AuthorizationPolicy/shop/deny-admin']);
  });

  it('refuses pods of two data planes with an event that names the reason', async () => {
    products.installSallyport(at.plane, ['--skip-crds']);
    at.sallyport = await products.startSallyport(at.plane);
    await at.namespace('twice', 'istio-injection=enabled', 'sallyport.dev/injection=enabled');
    await at.apply(deployment('twice', 'web'));

    const events = (): Promise<string> =>
      at.kubectl('get', 'events', '-n', 'twice', '--field-selector=reason=FailedCreate', '-o', 'jsonpath={.items[*].message}');
    await at.see(async () => (await events()) !== '', 'the event of the ReplicaSet');
    expect(await events()).to.include("container istio-init is Istio's: both data planes redirect the pod's connections");
    expect(await at.containers('twice')).to.deep.equal([]);
  });
});

/** Waits until a value is the same for two seconds. */
async function untilUnchanged(read: () => Promise<string>): Promise<void> {
  let [last, sinceMs] = [await read(), Date.now()];
  for (const endMs = Date.now() + 60_000; Date.now() - sinceMs < 2_000; ) {
    if (Date.now() > endMs) throw new Error('statuses are written without end');
    await delay(200);
    const value = await read();
    if (value !== last) [last, sinceMs] = [value, Date.now()];
  }
}
