/*
 * The webhook with a real API server: certificates, trust, injection and denials, and restoring the caBundle. The API server reaches
 * it through a Service of type ExternalName, because there is no cluster network here.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type RunningWebhook, startWebhook, webhookNames } from '../../src/webhook/start-webhook.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { createTestFacts } from '../support/admission-facts.ts';
import { startAdmissionWorker } from '../support/admission-worker.ts';
import { until } from '../support/fake-clock.ts';

const run = promisify(execFile);
const namespace = 'sallyport-system';
const names = webhookNames('sallyport');
const settings = { image: 'example/agent:1', version: '1.2.3' };
const crds = new URL('../../crds/', import.meta.url).pathname;

interface PodJson {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
    readonly containers: readonly { readonly readinessProbe?: { readonly httpGet?: { readonly path: string } } }[];
  };
}

const stopping = new AbortController();
let cluster: ControlPlane;
let client: KubeClient;
let webhook: RunningWebhook;
let leads = false;

async function kubectl(...args: readonly string[]): Promise<string> {
  return (await run(cluster.kubectlPath, [`--kubeconfig=${cluster.kubeconfigPath}`, ...args])).stdout;
}

/** Output of `kubectl create` for YAML or JSON, whether or not it succeeds. */
async function create(manifest: object): Promise<string> {
  const child = spawn(cluster.kubectlPath, [`--kubeconfig=${cluster.kubeconfigPath}`, 'create', '-f', '-', '-o', 'json']);
  child.stdin.end(JSON.stringify(manifest));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return out === '' ? err : `${err}${out}`;
}

async function readCaBundle(kind: string, name: string): Promise<string> {
  const encoded = await kubectl('get', kind, name, '-o', 'jsonpath={.webhooks[0].clientConfig.caBundle}');
  return Buffer.from(encoded, 'base64').toString();
}

function configurationOf(kind: string, name: string, path: string, more: object): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name },
    webhooks: [
      {
        name: 'test.sallyport.dev',
        clientConfig: { service: { name: 'sallyport', namespace, path, port: webhook.port } },
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        ...more,
      },
    ],
  };
}

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'foo', labels: { app: 'web' } },
  spec: {
    containers: [
      {
        name: 'app',
        image: 'example/app:1',
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
      },
    ],
  },
};

/** Registers the hooks of one describe. */
function setUp(): void {
  before(async () => {
    cluster = await startControlPlane();
    client = createKubeClient({ kubeconfig: cluster.kubeconfigPath, version: '1.2.3' });
    await kubectl('apply', '--server-side', '-f', crds);
    await kubectl('create', 'namespace', namespace);
    await kubectl('create', 'namespace', 'foo');
    await kubectl('label', 'namespace', 'foo', 'sallyport.dev/injection=enabled');
    await kubectl('create', 'service', 'externalname', 'sallyport', '-n', namespace, '--external-name=localhost');
    await kubectl('create', 'secret', 'generic', names.secret, '-n', namespace);
    webhook = await startWebhook(
      {
        facts: createTestFacts(),
        portsFor: () => undefined,
        whyOverBudget: () => undefined,
        startWorker: startAdmissionWorker,
        client,
        host: '127.0.0.1',
        port: 0,
        namespace,
        service: 'sallyport',
        injection: settings,
        isLeader: () => leads,
        logger: createLogger({ level: 'silent', component: 'test' }),
      },
      stopping.signal,
    );
    await create(
      configurationOf('MutatingWebhookConfiguration', names.mutatingConfiguration, '/mutate', {
        rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'], scope: 'Namespaced' }],
        namespaceSelector: { matchLabels: { 'sallyport.dev/injection': 'enabled' } },
        reinvocationPolicy: 'IfNeeded',
      }),
    );
    await create(
      configurationOf('ValidatingWebhookConfiguration', names.validatingConfiguration, '/validate', {
        rules: [
          {
            apiGroups: ['security.istio.io'],
            apiVersions: ['v1', 'v1beta1'],
            resources: ['requestauthentications', 'authorizationpolicies'],
            operations: ['CREATE', 'UPDATE'],
          },
        ],
      }),
    );
  });

  after(async () => {
    stopping.abort();
    await webhook?.stop();
    await client?.close();
    await cluster?.stop();
  });
}

describe('webhook on a real API server', function () {
  this.timeout(120_000);
  setUp();

  it('is not ready, and pods of an injected namespace are denied, while no replica leads', async () => {
    expect(webhook.check()).to.equal('no serving certificate yet');
    expect(await create(pod)).to.contain('failed calling webhook');
  });

  it('issues certificates once it leads, and is trusted', async () => {
    leads = true;
    await until(() => webhook.check() === undefined, 'a certificate', 20_000);

    expect(await readCaBundle('mutatingwebhookconfiguration', names.mutatingConfiguration)).to.contain('BEGIN CERTIFICATE');
    expect(await readCaBundle('validatingwebhookconfiguration', names.validatingConfiguration)).to.contain('BEGIN CERTIFICATE');
  });

  it('injects a pod of a labelled namespace', async () => {
    await until(async () => !(await create(pod)).includes('failed calling webhook'), 'the API server to trust it', 10_000);
    const { metadata, spec } = JSON.parse(await kubectl('get', 'pod', 'web', '-n', 'foo', '-o', 'json')) as PodJson;

    expect(spec.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])).to.deep.equal([
      ['sallyport-init', undefined],
      ['sallyport-agent', 'Always'],
    ]);
    expect(metadata.annotations?.['sallyport.dev/agent']).to.contain('"bundle":"sallyport-bundle-pod.web.0"');
    expect(spec.containers[0]?.readinessProbe?.httpGet?.path).to.equal('/app-health/app/readyz');
  });

  it('does not change pods of other namespaces', async () => {
    const stored = await create({ ...pod, metadata: { name: 'web', namespace: 'default' } });

    expect(stored).to.contain('"name": "web"');
    expect(stored).to.not.contain('sallyport');
  });

  it('does not inject an injected pod again', async () => {
    const stored = JSON.parse(await kubectl('get', 'pod', 'web', '-n', 'foo', '-o', 'json')) as PodJson & { metadata: object };
    const { annotations } = stored.metadata;

    const again = await create({ ...stored, metadata: { name: 'again', namespace: 'foo', annotations } });

    const injected = JSON.parse(again) as PodJson;
    expect(injected.spec.initContainers?.map(({ name }) => name)).to.deep.equal(['sallyport-init', 'sallyport-agent']);
    expect(injected.metadata.annotations?.['sallyport.dev/agent']).to.contain('"workload":"again"');
  });

  it('reports an invalid annotation to the client that creates a pod', async () => {
    const annotations = { 'sallyport.dev/include-inbound-ports': 'http' };

    const answer = await create({ ...pod, metadata: { name: 'wrong', namespace: 'foo', annotations } });

    expect(answer).to.contain('denied the request: no agent can be injected: metadata.annotations');
  });

  it("denies an invalid policy with Istio's message and allows a valid one", async () => {
    const policy = (action: string, rules: object[]): object => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: `p-${action.toLowerCase()}`, namespace: 'foo' },
      spec: { action, rules },
    });

    const refused = await create(policy('ALLOW', [{ when: [{ key: 'nosuch.key', values: ['a'] }] }]));
    const stored = await create(policy('DENY', [{ from: [{ source: { requestPrincipals: ['*'] } }] }]));

    expect(refused).to.contain('denied the request: configuration is invalid:');
    expect(stored).to.contain('"name": "p-deny"');
  });

  it('restores a caBundle that was reset', async () => {
    const trusted = await readCaBundle('mutatingwebhookconfiguration', names.mutatingConfiguration);
    const reset = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }];
    await kubectl('patch', 'mutatingwebhookconfiguration', names.mutatingConfiguration, '--type=json', '-p', JSON.stringify(reset));

    await until(
      async () => (await readCaBundle('mutatingwebhookconfiguration', names.mutatingConfiguration)) === trusted,
      'the caBundle',
      30_000,
    );
  });
});
