/*
 * The chart with `watchNamespaces`: its objects, and a controller on a real API server with exactly the rights of its Roles.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { createKubeClient } from '../../src/cluster/client.ts';
import { deleteObject, readObject } from '../../src/cluster/objects.ts';
import { NAMESPACES, type Resource } from '../../src/cluster/paths.ts';
import { loadControllerConfig } from '../../src/config/controller.ts';
import { type RefusedRequest, refusedRequests } from '../cluster/audit.ts';
import { binaryPath, build } from '../cluster/build.ts';
import { createAuthority } from '../cluster/certificates.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';

const run = promisify(execFile);
const chart = new URL('../../charts/sallyport/', import.meta.url).pathname;
const SYSTEM = 'sallyport-system';
const ROOT = 'mesh-root';
const ACCOUNT = `system:serviceaccount:${SYSTEM}:guard`;
const RA = 'RequestAuthentication';
const AP = 'AuthorizationPolicy';
const DENY = { action: 'DENY', rules: [{}] };
const ROLE_BINDINGS: Resource = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  namespaced: true,
};
const MODE = ['watchNamespaces={foo,bar}', `mesh.rootNamespace=${ROOT}`, 'fullnameOverride=guard'];
const NO_WEBHOOKS = ['webhook.injection.enabled=false', 'webhook.validation.enabled=false'];
const CERTIFICATE = ['webhook.certificate.secretName=tls', 'webhook.certificate.caBundle=Y2E='];

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly rules?: readonly {
    readonly resources?: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
  readonly data?: Readonly<Record<string, string>>;
  readonly webhooks?: readonly {
    readonly clientConfig: { readonly caBundle?: string };
    readonly namespaceSelector: { readonly matchExpressions: readonly object[] };
  }[];
  readonly spec?: object;
}

async function textOf(settings: readonly string[]): Promise<string> {
  const sets = settings.flatMap((setting) => ['--set', setting]);
  return (await run(binaryPath('helm'), ['template', 'guard', chart, '--namespace', SYSTEM, '--no-hooks', ...sets])).stdout;
}

async function template(...settings: readonly string[]): Promise<readonly Rendered[]> {
  return parseAllDocuments(await textOf(settings)).flatMap((document) => (document.toJS() as Rendered | null) ?? []);
}

function errorOf(...settings: readonly string[]): Promise<string> {
  return textOf(settings).then(
    () => 'accepted',
    (failure: Error) => failure.message,
  );
}

function ofKind(objects: readonly Rendered[], ...kinds: readonly string[]): readonly Rendered[] {
  return objects.filter(({ kind }) => kinds.includes(kind));
}

describe('the chart with watchNamespaces', function () {
  this.timeout(180_000);
  before(() => build('integration'));

  it('has a Role in each namespace, the same rights as in the whole cluster, and no ClusterRole of the controller', async () => {
    const objects = await template(...MODE, ...NO_WEBHOOKS, 'rbac.aggregate=false');
    const rulesIn = (one: string, name: string): unknown =>
      ofKind(objects, 'Role').find(({ metadata }) => metadata.namespace === one && metadata.name === name)?.rules;
    const [cluster] = ofKind(await template('fullnameOverride=guard', ...NO_WEBHOOKS, 'rbac.aggregate=false'), 'ClusterRole');
    const withoutNamespaces = cluster?.rules?.filter(({ resources }) => resources?.includes('namespaces') !== true);

    expect(ofKind(objects, 'ClusterRole', 'ClusterRoleBinding')).to.deep.equal([]);
    const places = ['foo', 'bar', ROOT, SYSTEM, 'kube-system'];
    for (const kind of ['Role', 'RoleBinding']) {
      const named = ofKind(objects, kind).map(({ metadata }) => `${metadata.namespace} ${metadata.name}`);
      expect(named).to.have.members([...places.map((place) => `${place} guard.${SYSTEM}`), `${SYSTEM} guard`]);
    }
    for (const place of places) {
      const own = { apiGroups: [''], resources: ['namespaces'], resourceNames: [place], verbs: ['get'] };
      const workloads = place === 'kube-system' ? [] : (withoutNamespaces ?? []);
      expect(rulesIn(place, `guard.${SYSTEM}`)).to.deep.equal([...workloads, own]);
    }
  });

  it('needs a certificate for webhooks from elsewhere, and has no feed', async () => {
    const reason =
      'the controller may not set the caBundle of its webhooks: set webhook.certManager.enabled, or webhook.certificate.secretName';
    expect(await errorOf(...MODE)).to.include(reason);
    expect(await errorOf(...MODE, 'webhook.injection.enabled=false')).to.include(reason);
    expect(await errorOf(...MODE, ...NO_WEBHOOKS)).to.equal('accepted');
    expect(await errorOf(...MODE, 'webhook.certManager.enabled=true')).to.equal('accepted');
    expect(await errorOf(...MODE, ...CERTIFICATE)).to.equal('accepted');
    expect(await errorOf(...MODE, ...CERTIFICATE, 'feed.enabled=true')).to.include('feed.enabled needs rights on the whole cluster');
    expect(await errorOf('webhook.certificate.secretName=tls')).to.include('webhook.certificate needs both');
    expect(await errorOf(...CERTIFICATE, 'webhook.certManager.enabled=true')).to.include('exclude each other');
    expect(await errorOf('watchNamespaces={Foo}')).to.include('watchNamespaces');
  });

  it('restricts webhooks with a certificate of the operator to the namespaces', async () => {
    const objects = await template(...MODE, ...CERTIFICATE);
    const webhooks = objects.flatMap((object) => object.webhooks ?? []);

    expect(webhooks).to.have.length(3);
    const watched = { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['foo', 'bar', ROOT, SYSTEM] };
    for (const { clientConfig, namespaceSelector } of webhooks) {
      expect(clientConfig.caBundle).to.equal('Y2E=');
      expect(namespaceSelector.matchExpressions).to.deep.include(watched);
    }
    expect(ofKind(objects, 'Secret')).to.deep.equal([]);
    expect(JSON.stringify(ofKind(objects, 'Deployment'))).to.include('"secret":{"secretName":"tls"');
  });

  it('restarts the controller when the root namespace changes', async () => {
    const checksum = async (...settings: readonly string[]): Promise<string | undefined> =>
      /checksum\/config: (\w+)/.exec(await textOf([...settings, ...NO_WEBHOOKS]))?.[1];

    expect(await checksum(...MODE)).not.to.equal(await checksum(...MODE, 'mesh.rootNamespace=foo'));
    expect(await checksum()).to.equal(await checksum('mesh.rootNamespace=foo'));
  });
});

describe('a controller with watchNamespaces on a real API server', function () {
  this.timeout(180_000);
  let plane: ControlPlane;
  let cluster: PolicyCluster;
  let controller: ControllerProcess;
  let directory: string;
  const see = (condition: () => Promise<boolean>, what: string): Promise<void> => until(condition, what, 30_000);
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`];

  const refused = async (): Promise<readonly RefusedRequest[]> =>
    (await refusedRequests(plane.auditLogPath ?? '')).filter(({ user }) => user === ACCOUNT);
  const kubectl = async (...args: readonly string[]): Promise<string> =>
    (await run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, ...args])).stdout;
  const denies = async (namespace: string, workload = 'web'): Promise<string | undefined> =>
    (await cluster.bundle(namespace, workload))?.programs[0]?.http.deny.rules.map(({ source }) => source.name).join();
  const ready = async (): Promise<string> => {
    const { status, text } = await controller.get('/readyz');
    return status === 200 ? 'ready' : text;
  };
  const reason = async (kind: typeof AP | typeof RA, name: string, namespace: string): Promise<string | undefined> =>
    (await cluster.condition(kind, name, namespace, 'Ready'))?.reason;
  const makeNamespace = async (name: string): Promise<void> => {
    await cluster.namespace(name);
    await see(
      async () => (await kubectl('get', 'serviceaccount', '-n', name, '-o', 'name')).includes('default'),
      `the ServiceAccount of namespace ${name}`,
    );
  };
  const applyRights = async (only?: string): Promise<void> => {
    const rights = ofKind(await template(...MODE, ...CERTIFICATE), 'Role', 'RoleBinding').filter(
      ({ metadata }) => only === undefined || metadata.namespace === only,
    );
    const file = join(directory, 'rights.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: rights }));
    await kubectl('apply', '--server-side', '-f', file);
  };
  const start = async (kubeconfig?: string, env: Readonly<Record<string, string>> = {}): Promise<void> => {
    controller = await startController({
      kubeconfig: kubeconfig ?? (await plane.kubeconfigAs(ACCOUNT, groups)),
      name: 'guard-0',
      namespace: SYSTEM,
      env: {
        SALLYPORT_CONFIG: join(directory, 'config.yaml'),
        SALLYPORT_WEBHOOK_HOST: '127.0.0.1',
        SALLYPORT_WEBHOOK_PORT: '0',
        SALLYPORT_AGENT_IMAGE: 'example/agent:1',
        ...env,
      },
    });
  };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
    plane = await startControlPlane({ audit: true, controllerManager: true });
    cluster = await openPolicyCluster(plane.kubeconfigPath);
    for (const namespace of [SYSTEM, ROOT, 'foo', 'bar', 'other']) await makeNamespace(namespace);
    await (await createAuthority(directory)).issue({ name: 'tls', commonName: 'guard', dnsNames: [`guard.${SYSTEM}.svc`] });
    const text = await textOf([...MODE, ...CERTIFICATE]);
    writeFileSync(join(directory, 'all.yaml'), text);
    await kubectl('apply', '--server-side', '--dry-run=server', '-f', join(directory, 'all.yaml'));
    // The webhooks cannot be reached here.
    const installed = parseAllDocuments(text).filter((document) => !String(document.get('kind')).endsWith('WebhookConfiguration'));
    writeFileSync(join(directory, 'installed.yaml'), installed.map(String).join('---\n'));
    await kubectl('apply', '--server-side', '-f', join(directory, 'installed.yaml'));
    const config = await kubectl('get', 'configmap', 'guard', '-n', SYSTEM, '-o', 'jsonpath={.data.config\\.yaml}');
    writeFileSync(join(directory, 'config.yaml'), config.replace('/etc/sallyport/webhook-tls', directory));
    expect(loadControllerConfig({ args: [], env: { SALLYPORT_AGENT_IMAGE: 'a/agent:1' }, fileText: config }).watchNamespaces).to.deep.equal(
      ['foo', 'bar'],
    );
    await start();
    await see(async () => (await ready()) === 'ready', 'readiness');
  });

  after(async () => {
    await controller?.stop();
    await cluster?.close();
    await plane?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('publishes, updates and withdraws bundles, and writes statuses and events, in the watched namespaces', async () => {
    await cluster.policy(RA, 'keys', 'foo', { jwtRules: [{ issuer: 'a', jwksUri: 'http://127.0.0.1:1/none' }] });
    await cluster.policy(AP, 'deny', 'foo', DENY);
    for (const namespace of ['foo', 'bar']) await cluster.pod({ namespace, name: 'web', labels: { app: 'web' } });

    await see(async () => (await denies('foo')) === 'deny', 'the policy in the bundle');
    await see(async () => (await denies('bar')) === '', 'a bundle without it');
    await see(async () => (await reason(AP, 'deny', 'foo')) === 'Published', 'the status of the policy');
    await see(async () => (await cluster.events('foo')).length > 0, 'an event about the keys');
    await cluster.policy(AP, 'more', 'bar', DENY);
    await see(async () => (await denies('bar')) === 'more', 'the new policy in the bundle');
    await cluster.deletePolicy(AP, 'more', 'bar');
    await see(async () => (await denies('bar')) === '', 'the bundle without the deleted policy');
    await cluster.pod({ namespace: 'bar', name: 'short', labels: {} });
    await see(async () => (await denies('bar', 'short')) === '', 'the bundle of another pod');
    await cluster.deletePod('bar', 'short');
    await see(async () => (await denies('bar', 'short')) === undefined, 'the bundle to go');
  });

  it('enforces policies of the root namespace in all watched namespaces, and reports them', async () => {
    await cluster.policy(AP, 'everywhere', ROOT, DENY);

    await see(async () => (await denies('foo'))?.split(',').includes('everywhere') === true, 'the root policy in foo');
    await see(async () => (await denies('bar')) === 'everywhere', 'the root policy in bar');
    await see(async () => (await reason(AP, 'everywhere', ROOT)) === 'Published', 'the status of the root policy');
    await cluster.deletePolicy(AP, 'everywhere', ROOT);
    await see(async () => (await denies('bar')) === '', 'the bundle without the root policy');
  });

  it('neither reads nor writes in other namespaces', async () => {
    await cluster.pod({ namespace: 'other', name: 'web', labels: { app: 'web' } });
    await cluster.policy(AP, 'deny', 'other', DENY);
    const version = async (): Promise<unknown> => (await cluster.configMap('foo', 'sallyport-bundle-pod.web.0'))?.metadata?.resourceVersion;
    const before = await version();
    // Something that the controller does handle afterwards.
    await cluster.policy(AP, 'late', 'bar', DENY);
    await see(async () => (await denies('bar')) === 'late', 'the change in a watched namespace');
    await cluster.deletePolicy(AP, 'late', 'bar');
    await delay(500);

    expect(await denies('other')).to.equal(undefined);
    expect(await reason(AP, 'deny', 'other')).to.equal(undefined);
    expect(await version()).to.equal(before);
  });

  it('had every request allowed, and reads namespaces in the only way that a Role allows', async () => {
    expect(await refused()).to.deep.equal([]);
    const account = createKubeClient({ kubeconfig: await plane.kubeconfigAs('probe'), version: 'test' });
    const file = join(directory, 'probe.json');
    const role = { apiGroups: [''], resources: ['namespaces'], resourceNames: ['foo'], verbs: ['get', 'list', 'watch'] };
    const metadata = { name: 'probe', namespace: 'foo' };
    const roleRef = { apiGroup: ROLE_BINDINGS.group, kind: 'Role', name: 'probe' };
    const items = [
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata, rules: [role] },
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata, roleRef, subjects: [{ kind: 'User', name: 'probe' }] },
    ];
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    await kubectl('apply', '--server-side', '-f', file);
    try {
      const isAllowed = (query: Readonly<Record<string, string>>, path = '/api/v1/namespaces'): Promise<boolean> =>
        account.request({ method: 'GET', path, query: { ...query, timeoutSeconds: 1 }, discard: true }).then(
          () => true,
          () => false,
        );
      await see(
        async () => (await readObject(account, { resource: NAMESPACES, name: 'foo' }).catch(() => undefined)) !== undefined,
        'the Role',
      );
      expect(await isAllowed({ fieldSelector: 'metadata.name=foo' })).to.equal(false);
      expect(await isAllowed({ fieldSelector: 'metadata.name=foo', watch: 'true' })).to.equal(false);
      // Deprecated, and therefore not used.
      expect(await isAllowed({}, '/api/v1/watch/namespaces/foo')).to.equal(true);
    } finally {
      await account.close();
    }
  });

  it('follows a namespace that is deleted and created again', async () => {
    await kubectl('delete', 'namespace', 'bar', '--timeout=60s');
    await makeNamespace('bar');
    await applyRights('bar');
    await cluster.policy(AP, 'again', 'bar', DENY);
    await cluster.pod({ namespace: 'bar', name: 'web', labels: { app: 'web' } });

    await see(async () => (await denies('bar')) === 'again', 'the bundle in the new namespace');
    await see(async () => (await reason(AP, 'again', 'bar')) === 'Published', 'the status in the new namespace');
    await until(async () => (await ready()) === 'ready', 'readiness', 60_000);
  });

  it('names a namespace without rights, leaves it as it is, and keeps the others up to date', async () => {
    await controller.stop();
    await deleteObject(cluster.client, { resource: ROLE_BINDINGS, namespace: 'bar', name: `guard.${SYSTEM}` });
    await cluster.deletePolicy(AP, 'again', 'bar');
    await start();

    await see(async () => (await ready()).includes('no rights to read pods in the watched namespace bar'), 'the failed check');
    await cluster.policy(AP, 'meanwhile', 'foo', DENY);
    await see(async () => (await denies('foo'))?.split(',').includes('meanwhile') === true, 'the change in foo');
    expect(await denies('bar')).to.equal('again');
    expect(await ready()).to.include('failed: no rights to read authorizationpolicies in the watched namespace bar');
    const logged = controller.log.filter(({ message }) => message === 'no rights to read the namespace');
    expect(logged.map(({ namespace }) => namespace)).to.include('bar');

    await applyRights('bar');
    await until(async () => (await denies('bar')) === '', 'the bundle in bar to follow', 60_000);
    await until(async () => (await ready()) === 'ready', 'readiness', 60_000);
    expect((await refused()).filter(({ uri }) => !uri.includes('/namespaces/bar'))).to.deep.equal([]);
  });

  it('publishes nothing without the root namespace', async () => {
    await controller.stop();
    await deleteObject(cluster.client, { resource: ROLE_BINDINGS, namespace: ROOT, name: `guard.${SYSTEM}` });
    await cluster.deletePolicy(AP, 'meanwhile', 'foo');
    await start();

    await see(
      async () => (await ready()).includes(`no rights to read authorizationpolicies in the watched namespace ${ROOT}`),
      'the failed check',
    );
    await delay(3_000);
    expect(await denies('foo')).to.include('meanwhile');
    await applyRights(ROOT);
    await until(async () => (await denies('foo'))?.includes('meanwhile') === false, 'the bundle to follow', 60_000);
  });

  it('is ready without a namespace that does not exist yet, if its rights say so', async () => {
    await controller.stop();
    await start(plane.kubeconfigPath, { SALLYPORT_WATCH_NAMESPACES: 'foo,later' });
    await see(async () => (await ready()) === 'ready', 'readiness');

    await makeNamespace('later');
    await cluster.policy(AP, 'new', 'later', DENY);
    await cluster.pod({ namespace: 'later', name: 'web', labels: {} });
    await see(async () => (await denies('later')) === 'new', 'the bundle in the new namespace');
  });
});
