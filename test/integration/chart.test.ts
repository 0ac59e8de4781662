/*
 * The chart, rendered by Helm with each of its ci/*-values.yaml: what must hold for any values. Then installed by Helm on a real
 * API server, where the controller runs with exactly its roles.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { loadControllerConfig } from '../../src/config/controller.ts';
import { webhookNames } from '../../src/webhook/start-webhook.ts';
import { refusedRequests } from '../cluster/audit.ts';
import { binaryPath, build } from '../cluster/build.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';
import { withDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const chart = new URL('../../charts/sallyport/', import.meta.url);
const folder = chart.pathname;
const manifests = new URL('../../manifests/', import.meta.url).pathname;
const valuesFiles = readdirSync(new URL('ci/', chart)).sort();

interface Rule {
  /** Absent in a rule of paths. */
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly rules?: readonly Rule[];
  readonly data?: Readonly<Record<string, string>>;
  readonly webhooks?: readonly {
    readonly name: string;
    readonly sideEffects: string;
    readonly clientConfig: { readonly service: { readonly name: string; readonly namespace: string }; readonly caBundle?: string };
    readonly namespaceSelector?: { readonly matchExpressions?: readonly { readonly key: string; readonly values: readonly string[] }[] };
  }[];
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly securityContext: object;
        readonly serviceAccountName: string;
        readonly containers: readonly {
          readonly image: string;
          readonly env: readonly { readonly name: string; readonly value?: string }[];
          readonly securityContext: object;
          readonly resources: { readonly requests?: object };
          readonly livenessProbe: object;
          readonly readinessProbe: object;
        }[];
      };
    };
  };
}

/** What an installation creates. */
async function template(...args: readonly string[]): Promise<readonly Rendered[]> {
  return (await everything(...args)).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined);
}

/** The same with the hooks of `helm test`. */
async function everything(...args: readonly string[]): Promise<readonly Rendered[]> {
  const { stdout } = await run(binaryPath('helm'), ['template', 'sallyport', folder, '--namespace', 'sallyport-system', ...args]);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

function ofKind(objects: readonly Rendered[], kind: string): readonly Rendered[] {
  return objects.filter((object) => object.kind === kind);
}

function one(objects: readonly Rendered[], kind: string): Rendered {
  const [first, ...rest] = ofKind(objects, kind);
  if (first === undefined || rest.length > 0) throw new Error(`${rest.length + (first === undefined ? 0 : 1)} objects of kind ${kind}`);
  return first;
}

/** The configuration of the controller. */
function configOf(objects: readonly Rendered[]): string {
  const [text = ''] = ofKind(objects, 'ConfigMap').flatMap(({ data }) => data?.['config.yaml'] ?? []);
  return text;
}

const CLUSTER_SCOPED = [
  'ClusterRole',
  'ClusterRoleBinding',
  'MutatingWebhookConfiguration',
  'Namespace',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'ValidatingWebhookConfiguration',
];

/** Registers the hook of one describe of charts that are only rendered. */
function setUpHelm(): void {
  before(() => build('integration'));
}

describe('the chart: its objects', function () {
  this.timeout(180_000);
  setUpHelm();

  for (const file of valuesFiles) {
    describe(`with ci/${file}`, () => {
      let objects: readonly Rendered[];

      before(async () => {
        objects = await template('--values', `${folder}ci/${file}`);
      });

      it('requests no wildcard, and only its own Secret', () => {
        const rules = objects.flatMap((object) => object.rules ?? []);

        for (const { apiGroups = [], resources = [], nonResourceURLs = [], verbs } of rules)
          expect([...apiGroups, ...resources, ...nonResourceURLs, ...verbs].join()).to.not.include('*');
        const ofSecrets = rules.filter(({ resources = [] }) => resources.includes('secrets'));
        // RBAC cannot name an object that is created; an admission policy does.
        for (const { verbs, resourceNames } of ofSecrets.filter((rule) => rule.verbs.join() !== 'create')) {
          // Credentials for key servers, see ci/full-values.yaml.
          if (verbs.includes('watch'))
            expect([resourceNames, verbs]).to.deep.equal([
              ['egress-proxy', 'idp'],
              ['get', 'list', 'watch'],
            ]);
          else expect(resourceNames).to.have.length(1);
        }
        expect(ofSecrets.some(({ verbs }) => verbs.includes('watch'))).to.equal(file === 'full-values.yaml');
      });

      it('meets the restricted Pod Security Standard, with a read-only root', () => {
        const { spec } = one(objects, 'Deployment').spec.template;

        expect(spec.securityContext).to.deep.include({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
        for (const container of spec.containers) {
          expect(container.securityContext).to.deep.include({
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
            readOnlyRootFilesystem: true,
          });
          expect(container.resources.requests).to.have.keys(['cpu', 'memory']);
          expect(container).to.include.keys('livenessProbe', 'readinessProbe');
        }
      });

      it('creates every object in its namespace, and roles in others only if it watches these', () => {
        const { mesh, watchNamespaces } = loadControllerConfig({
          args: [],
          env: { SALLYPORT_AGENT_IMAGE: 'example/agent:1' },
          fileText: configOf(objects),
        });
        const watched = watchNamespaces.length === 0 ? [] : [...watchNamespaces, mesh.rootNamespace, 'kube-system'];
        for (const { kind, metadata } of objects) {
          if (kind.startsWith('Role') && watched.includes(metadata.namespace ?? ''))
            expect(metadata.name).to.equal('sallyport.sallyport-system');
          else if (!CLUSTER_SCOPED.includes(kind)) {
            const isOfNode = metadata.labels?.['app.kubernetes.io/component'] === 'node';
            expect(metadata.namespace, kind).to.equal(isOfNode ? 'sallyport-node' : 'sallyport-system');
          } else expect(metadata.namespace, kind).to.equal(undefined);
          expect(metadata.labels, kind).to.include({ 'app.kubernetes.io/part-of': 'sallyport' });
        }
      });

      it('configures the controller with valid settings under the names that it reads', () => {
        const [container] = one(objects, 'Deployment').spec.template.spec.containers;
        const env = Object.fromEntries(container?.env.map(({ name, value }) => [name, value]) ?? []);
        const config = loadControllerConfig({ args: [], env, fileText: configOf(objects) });

        const names = webhookNames(config.webhook.service);
        const secrets = ofKind(objects, 'Secret').map(({ metadata }) => metadata.name);
        const named = (kind: string): readonly string[] => ofKind(objects, kind).map(({ metadata }) => metadata.name);
        const ifEnabled = (name: string): readonly string[] => (config.webhook.enabled ? [name] : []);
        expect(named('Service')).to.deep.equal([config.webhook.service]);
        expect(secrets).to.deep.equal(config.webhook.certificateDirectory === undefined ? ifEnabled(names.secret) : []);
        expect(named('MutatingWebhookConfiguration')).to.deep.equal(ifEnabled(names.mutatingConfiguration));
        expect(named('ValidatingWebhookConfiguration')).to.deep.equal(ifEnabled(names.validatingConfiguration));
        const leases = objects.flatMap(({ rules = [] }) => rules).filter(({ resources = [] }) => resources.includes('leases'));
        expect(leases.flatMap(({ resourceNames = [] }) => resourceNames)).to.deep.equal(
          leases.length === 0 ? [] : [config.leaderElection.name],
        );
      });

      it('binds every admission policy, which fails closed, to the users of this release', () => {
        const policies = ofKind(objects, 'ValidatingAdmissionPolicy');
        const bindings = ofKind(objects, 'ValidatingAdmissionPolicyBinding');
        const spec = (object: Rendered): Readonly<Record<string, unknown>> => object.spec as unknown as Readonly<Record<string, unknown>>;

        expect(bindings.map((binding) => spec(binding)['policyName'])).to.have.members(policies.map(({ metadata }) => metadata.name));
        for (const policy of policies) expect(spec(policy)['failurePolicy'], policy.metadata.name).to.equal('Fail');
        for (const binding of bindings) expect(spec(binding)['validationActions'], binding.metadata.name).to.deep.equal(['Deny']);
        const account = one(objects, 'Deployment').spec.template.spec.serviceAccountName;
        const texts = policies
          .map((policy) => JSON.stringify(policy))
          .filter((text) => text.includes('system:serviceaccount:sallyport-system'));
        for (const text of texts) expect(text).to.contain(`system:serviceaccount:sallyport-system:${account}\\"`);
        expect(texts).to.have.length(policies.length === 0 ? 0 : 6);
      });

      it('does not set caBundle, and excludes kube-system and its own namespace', () => {
        for (const webhook of objects.flatMap(({ webhooks = [] }) => webhooks)) {
          expect(webhook.sideEffects).to.equal('None');
          expect(webhook.clientConfig.caBundle).to.equal(undefined);
          if (!webhook.name.includes('injection')) continue;
          const names = webhook.namespaceSelector?.matchExpressions?.find(({ key }) => key === 'kubernetes.io/metadata.name');
          expect(names?.values).to.include.members(['kube-system', 'sallyport-system']);
        }
      });
    });
  }
});

describe('the chart: its values and the files generated from it', function () {
  this.timeout(180_000);
  setUpHelm();

  it('takes the registry of the image of the init container from the agent, unless it has one', async () => {
    const image = async (...args: readonly string[]): Promise<string | undefined> => {
      const [container] = one(await template(...args), 'Deployment').spec.template.spec.containers;
      return container?.env.find(({ name }) => name === 'SALLYPORT_INIT_IMAGE')?.value;
    };
    const digest = `sha256:${'1'.repeat(64)}`;

    expect(await image()).to.equal('registry.invalid/sallyport/redirect:0.1.0');
    expect(await image('--set', 'agent.image.registry=r.example')).to.equal('r.example/sallyport/redirect:0.1.0');
    expect(await image('--set', `agent.initImage.registry=i.example,agent.initImage.digest=${digest}`)).to.equal(
      `i.example/sallyport/redirect@${digest}`,
    );
  });

  it('combines registry, tag and digest, and uses the registry of the controller for the agent', async () => {
    const images = async (...args: readonly string[]): Promise<readonly (string | undefined)[]> => {
      const [container] = one(await template(...args), 'Deployment').spec.template.spec.containers;
      return [container?.image, container?.env.find(({ name }) => name === 'SALLYPORT_AGENT_IMAGE')?.value];
    };

    expect(await images()).to.deep.equal(['registry.invalid/sallyport/controller:0.1.0', 'registry.invalid/sallyport/agent:0.1.0']);
    expect(await images('--set', 'image.registry=r.example')).to.deep.equal([
      'r.example/sallyport/controller:0.1.0',
      'r.example/sallyport/agent:0.1.0',
    ]);
    expect(await images('--values', `${folder}ci/full-values.yaml`)).to.deep.equal([
      `registry.example.com/mirror/sallyport/controller@sha256:${'0'.repeat(64)}`,
      'other.example.com/sallyport/agent:v9',
    ]);
  });

  it('requires a version of Kubernetes that serves admission policies', async () => {
    const render = (version: string): Promise<string> =>
      template('--kube-version', version).then(
        (objects) => `${ofKind(objects, 'ValidatingAdmissionPolicy').length} policies`,
        (failure: Error) => failure.message,
      );

    expect(await render('v1.29.9')).to.contain('incompatible with Kubernetes v1.29.9');
    expect(await render('v1.30.0')).to.equal('7 policies');
  });

  it('names the image of the agent and the users of the values in admission policies', async () => {
    const text = JSON.stringify(await template('--values', `${folder}ci/full-values.yaml`));

    const ours = '\\"other.example.com/sallyport/agent\\",\\"other.example.com/sallyport/redirect\\"';
    expect(text).to.contain(`[${ours},\\"mirror.example.com:5000/sallyport/agent\\"].exists(r,`);
    expect(text).to.contain('!(g in [\\"sre\\"])');
    expect(text).to.contain('[\\"system:kube-controller-manager\\"]');
    expect(text).to.contain('!= \\"CREATE\\" || (true ||');
  });

  it('annotates every object, and renders extra objects as templates', async () => {
    const objects = await template(
      '--values',
      `${folder}ci/full-values.yaml`,
      '--set',
      'extraObjects[1]=kind: Extra\nmetadata: { name: {{ .Release.Name }} }',
    );
    const [extra, ...own] = [
      ...ofKind(objects, 'Extra'),
      ...objects.filter(({ kind, metadata }) => kind !== 'Extra' && !metadata.name.endsWith('-extra')),
    ];

    expect(extra?.metadata.name).to.equal('sallyport');
    expect(objects.map(({ metadata }) => metadata.name)).to.include('sallyport-extra');
    for (const { kind, metadata } of own) expect(metadata.annotations, `${kind} ${metadata.name}`).to.include({ owner: 'platform' });
  });

  it('resolves cluster names on the network of the node, on the port of the values', async () => {
    const podOf = async (...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> =>
      one(await template(...args), 'Deployment').spec.template.spec as unknown as Readonly<Record<string, unknown>>;

    expect(await podOf('--set', 'hostNetwork=true')).to.include({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' });
    expect(await podOf()).to.not.have.any.keys('hostNetwork', 'dnsPolicy');
    const full = await podOf('--values', `${folder}ci/full-values.yaml`);
    expect(full).to.deep.include({ dnsPolicy: 'Default', dnsConfig: { options: [{ name: 'ndots', value: '1' }] } });
    expect(JSON.stringify(full)).to.include('"containerPort":18080').and.to.include('"lifecycle":{"preStop":{"sleep":{"seconds":5}}}');
  });

  it('restricts both webhooks by the selectors of the values', async () => {
    const webhooks = (await template('--values', `${folder}ci/full-values.yaml`)).flatMap(
      (object) => object.webhooks ?? [],
    ) as unknown as readonly {
      readonly name: string;
      readonly namespaceSelector: { readonly matchLabels: object };
      readonly objectSelector: { readonly matchLabels?: object; readonly matchExpressions?: readonly object[] };
    }[];

    expect(webhooks).to.have.length(3);
    for (const { name, namespaceSelector, objectSelector } of webhooks) {
      if (name.startsWith('validation')) expect(objectSelector.matchLabels).to.deep.equal({ checked: 'yes' });
      else {
        expect(namespaceSelector.matchLabels).to.deep.equal({ tier: 'app' });
        expect(objectSelector.matchExpressions).to.deep.include({ key: 'legacy', operator: 'DoesNotExist' });
      }
    }
  });

  it('serves the feed, and has the rights for it, only when it is enabled', async () => {
    const partsOf = async (...args: readonly string[]): Promise<object> => {
      const objects = await template('--set', 'networkPolicy.enabled=true', ...args);
      const { feed } = loadControllerConfig({
        args: [],
        env: { SALLYPORT_AGENT_IMAGE: 'example/agent:1' },
        fileText: configOf(objects),
      });
      return {
        settings: { enabled: feed.enabled, port: feed.port, maxStreams: feed.maxStreams },
        container: JSON.stringify(one(objects, 'Deployment').spec).includes('{"name":"feed","containerPort":19444,"protocol":"TCP"}'),
        service: JSON.stringify(one(objects, 'Service').spec).includes('{"name":"feed","port":19444,"targetPort":"feed","protocol":"TCP"}'),
        ingress: JSON.stringify(one(objects, 'NetworkPolicy').spec).includes('{"ports":[{"port":"feed","protocol":"TCP"}]}'),
        paths: objects.flatMap(({ rules = [] }) => rules.flatMap(({ nonResourceURLs = [] }) => nonResourceURLs)),
      };
    };
    const values = ['--set', 'feed.port=19444', '--set', 'feed.maxStreams=500'];

    expect(await partsOf(...values, '--set', 'feed.enabled=true')).to.deep.equal({
      settings: { enabled: true, port: 19_444, maxStreams: 500 },
      container: true,
      service: true,
      ingress: true,
      paths: ['/.well-known/openid-configuration', '/openid/v1/jwks'],
    });
    expect(await partsOf(...values)).to.deep.equal({
      settings: { enabled: false, port: 9444, maxStreams: 2000 },
      container: false,
      service: false,
      ingress: false,
      paths: [],
    });
  });

  it('refuses a feed that agents could not find or trust', async () => {
    const errorOf = async (setting: string): Promise<string> =>
      template('--set', 'feed.enabled=true', '--set', setting).then(
        () => 'accepted',
        (failure: Error) => failure.message,
      );

    expect(await errorOf('webhook.injection.enabled=false')).to.include('feed.enabled needs webhook.injection.enabled');
    expect(await errorOf('webhook.certManager.enabled=true')).to.include('feed.enabled needs the certificates that the controller issues');
  });

  it('refuses identities by address where only some namespaces are read', async () => {
    const error = await template('--set', 'feed.enabled=true,mesh.peerIdentity.podIP=true,watchNamespaces={shop}').then(
      () => 'accepted',
      (failure: Error) => failure.message,
    );

    expect(error).to.include('mesh.peerIdentity.podIP needs the pods of all namespaces');
  });

  it('leaves certificates to cert-manager, and has no rights for them then', async () => {
    const objects = await template('--set', 'webhook.certManager.enabled=true');
    const spec = one(objects, 'Certificate').spec as unknown as { readonly secretName: string; readonly issuerRef: object };

    expect(spec).to.deep.include({ secretName: 'sallyport-webhook', issuerRef: { kind: 'Issuer', name: 'sallyport-webhook' } });
    expect(ofKind(objects, 'Issuer')).to.have.length(1);
    const configurations = objects.filter(({ webhooks }) => webhooks !== undefined);
    for (const { metadata } of configurations)
      expect(metadata.annotations).to.deep.equal({ 'cert-manager.io/inject-ca-from': 'sallyport-system/sallyport-webhook' });
    expect(configurations).to.have.length(2);
    const rights = objects.flatMap(({ rules = [] }) => rules.flatMap(({ resources = [] }) => resources));
    expect(rights.filter((resource) => resource.includes('webhookconfigurations'))).to.deep.equal([]);
    expect(JSON.stringify(one(objects, 'Deployment').spec)).to.include('"mountPath":"/etc/sallyport/webhook-tls"');
    const issued = await template('--values', `${folder}ci/cert-manager-values.yaml`);
    expect(one(issued, 'Certificate').spec).to.deep.include({
      issuerRef: { kind: 'ClusterIssuer', name: 'corporate', group: 'cert-manager.io' },
    });
    expect(ofKind(issued, 'Issuer')).to.deep.equal([]);
  });

  it('has alerts with the names and thresholds of the release, which Prometheus and not Helm completes', async () => {
    const text = JSON.stringify(one(await template('--values', `${folder}ci/full-values.yaml`), 'PrometheusRule'));

    expect(text).to.include('name=\\"guard-controller\\"').and.to.include('> 0.2 and').and.to.include('> 3600"');
    expect(text).to.include('{{ $labels.namespace }}').and.not.include('.Values');
  });

  it('tests an allowed and a denied request with hooks that an installation does not create', async () => {
    const hooks = (await everything()).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test');
    const client = one(hooks, 'Pod').spec as unknown as { readonly containers: readonly { readonly args: readonly [string] }[] };
    const [script = ''] = client.containers[0]?.args ?? [];
    const outcome = async (denied: number): Promise<number | undefined> => {
      const server = createServer((request, response) => {
        response.writeHead(request.url === '/denied' ? denied : 200).end();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { readonly port: number };
      const env = { TARGET: `http://127.0.0.1:${port}`, PATIENCE_SECONDS: '0' };
      const code = await run(process.execPath, ['-e', script], { env }).then(
        () => 0,
        (failure: { readonly code?: number }) => failure.code,
      );
      server.closeAllConnections();
      server.close();
      return code;
    };

    expect(hooks.map(({ kind }) => kind).toSorted()).to.deep.equal(['AuthorizationPolicy', 'Deployment', 'Pod', 'Service']);
    expect(await outcome(403)).to.equal(0);
    expect(await outcome(200)).to.equal(1);
  });

  const wrong: readonly (readonly [string, string])[] = [
    ['a key that does not exist', 'imagee.tag=1'],
    ['a key that does not exist deep inside', 'mesh.rootNamespac=root'],
    ['a level that does not exist', 'logLevel=chatty'],
    ['a failure policy that does not exist', 'webhook.injection.failurePolicy=Never'],
    ['text where a number belongs', 'replicaCount=many'],
  ];
  for (const [name, setting] of wrong) {
    it(`refuses ${name}`, async () => {
      const error = await template('--set', setting).then(
        () => 'accepted',
        (failure: Error) => failure.message,
      );

      expect(error).to.contain("values don't meet the specifications of the schema");
    });
  }

  it('documents every value once, and no unknown value', () => {
    const text = readFileSync(new URL('values.yaml', chart), 'utf8');
    const documented = [...text.matchAll(/^ *## @param (\S+) \S/gm)].map(([, name = '']) => name);
    const leaves = (value: unknown, path: string): readonly string[] => {
      if (documented.includes(path) || typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
      return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
    };

    expect(new Set(documented).size).to.equal(documented.length);
    expect([...documented].sort()).to.deep.equal([...leaves(parse(text), '')].sort());
  });

  it('equals the generated files', async () => {
    for (const script of ['scripts/gen-chart.ts', 'scripts/gen-manifests.ts']) {
      await run(process.execPath, [script, '--check'], { cwd: new URL('../..', import.meta.url).pathname });
    }
  });
});

let plane: ControlPlane;
let cluster: PolicyCluster;

const kubectl = async (...args: readonly string[]): Promise<string> =>
  (await run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, ...args])).stdout;
const helm = async (...args: readonly string[]): Promise<string> =>
  (await run(binaryPath('helm'), [`--kubeconfig=${plane.kubeconfigPath}`, '--namespace', 'sallyport-system', ...args])).stdout;

/** Registers the hooks of the describe with an API server. */
function setUpCluster(): void {
  before(async () => {
    plane = await startControlPlane({ audit: true });
    cluster = await openPolicyCluster(plane.kubeconfigPath);
  });

  after(async () => {
    await cluster?.close();
    await plane?.stop();
  });
}

describe('the chart on a real API server', function () {
  this.timeout(180_000);
  setUpCluster();

  it('renders exactly the files of manifests/', async () => {
    // `npm run check` skips this on a machine without helm; here it is built.
    const { stderr } = await run(process.execPath, ['scripts/gen-manifests.ts', '--check'], { cwd: new URL('../../', import.meta.url) });

    expect(stderr).to.equal('');
  });

  it('accepts every object of manifests/, including the samples', async () => {
    await kubectl('apply', '--server-side', '--dry-run=server', '-f', `${manifests}crds.yaml`);
    await kubectl('create', 'namespace', 'sallyport-system');
    await kubectl('apply', '--server-side', '--dry-run=server', '-f', `${manifests}install.yaml`);
    await kubectl('apply', '--server-side', '--dry-run=server', '-n', 'default', '-f', `${manifests}samples`);
    const applied = await kubectl('apply', '--server-side', '--dry-run=server', '-k', manifests);

    expect(applied.match(/serverside-applied/g)).to.have.length.greaterThan(12);
  });

  it('builds each component of manifests/ on their base', async () => {
    await withDirectory({}, async (directory) => {
      await run('cp', ['-r', manifests, join(directory, 'manifests')]);
      const build = async (component: string): Promise<readonly Rendered[]> => {
        const text = `resources: [manifests]\ncomponents: [manifests/components/${component}]\n`;
        writeFileSync(join(directory, 'kustomization.yaml'), text);
        return parseAllDocuments(await kubectl('kustomize', directory)).map((document) => document.toJS() as Rendered);
      };

      const ha = await build('ha');
      expect(one(ha, 'Deployment').spec).to.include({ replicas: 3 });
      expect(one(ha, 'PodDisruptionBudget').spec).to.include({ minAvailable: 2 });
      const monitored = (await build('monitoring')).map(({ kind }) => kind);
      expect(monitored).to.include.members(['ServiceMonitor', 'PodMonitor', 'PrometheusRule']);
      const ofNode = await build('node-capture');
      expect(ofNode.filter(({ kind }) => kind === 'DaemonSet').map(({ metadata }) => metadata.namespace)).to.deep.equal(['sallyport-node']);
      const plain = await build('no-webhook');
      expect(plain.filter(({ kind }) => /Webhook|Secret/.test(kind))).to.deep.equal([]);
      const env = one(plain, 'Deployment').spec.template.spec.containers[0]?.env.map(({ name, value }) => [name, value]);
      const config = loadControllerConfig({ args: [], env: Object.fromEntries(env ?? []), fileText: configOf(plain) });
      expect(config.webhook.enabled).to.equal(false);
    });
  });

  it('gives the controller exactly the rights it uses', async () => {
    // Before the install: with it, policies are validated by a webhook that cannot be reached here.
    await cluster.namespace('foo');
    await cluster.policy('AuthorizationPolicy', 'deny', 'foo', { action: 'DENY', rules: [{}] });
    await cluster.policy('RequestAuthentication', 'keys', 'foo', {
      jwtRules: [{ issuer: 'a', jwksUri: 'http://127.0.0.1:1/none' }],
    });
    await helm('install', 'guard', folder, '--create-namespace', '--set', 'fullnameOverride=guard');
    const config = await kubectl('get', 'configmap', 'guard', '-n', 'sallyport-system', '-o', 'jsonpath={.data.config\\.yaml}');
    const account = 'system:serviceaccount:sallyport-system:guard';
    const kubeconfig = await plane.kubeconfigAs(account, ['system:serviceaccounts', 'system:serviceaccounts:sallyport-system']);
    const { leaderElection, webhook } = loadControllerConfig({
      args: [],
      env: { SALLYPORT_AGENT_IMAGE: 'example/agent:1' },
      fileText: config,
    });
    const controller = await startController({
      kubeconfig,
      name: 'guard-0',
      namespace: 'sallyport-system',
      env: {
        SALLYPORT_LEADER_ELECTION_NAME: leaderElection.name,
        SALLYPORT_WEBHOOK: 'true',
        SALLYPORT_WEBHOOK_PORT: '0',
        SALLYPORT_WEBHOOK_HOST: '127.0.0.1',
        SALLYPORT_WEBHOOK_SERVICE: webhook.service,
        SALLYPORT_AGENT_IMAGE: 'example/agent:1',
      },
    });
    try {
      await until(async () => (await controller.get('/readyz')).status === 200, 'readiness', 30_000);
      await cluster.pod({ namespace: 'foo', name: 'web', labels: { app: 'web' } });
      await until(async () => (await cluster.bundle('foo', 'web')) !== undefined, 'a bundle', 15_000);
      await until(async () => (await cluster.events('foo')).length > 0, 'an event about the keys', 15_000);
      const status = async (): Promise<string | undefined> =>
        (await cluster.condition('AuthorizationPolicy', 'deny', 'foo', 'Ready'))?.status;
      await until(async () => (await status()) === 'True', 'the status of a policy', 15_000);
      await cluster.deletePolicy('AuthorizationPolicy', 'deny', 'foo');
      await until(
        async () => (await cluster.bundle('foo', 'web'))?.programs[0]?.http.deny.rules.length === 0,
        'the changed bundle',
        15_000,
      );
      await cluster.deletePod('foo', 'web');
      await until(async () => (await cluster.configMap('foo', 'sallyport-bundle-pod.web.0')) === undefined, 'the bundle to go', 15_000);
      const bundles = 'jsonpath={.webhooks[*].clientConfig.caBundle}';
      expect(await kubectl('get', 'mutatingwebhookconfiguration', 'guard-injection', '-o', bundles)).to.not.equal('');
      expect(await kubectl('get', 'validatingwebhookconfiguration', 'guard-validation', '-o', bundles)).to.not.equal('');
    } finally {
      await controller.stop();
    }

    const refused = (await refusedRequests(plane.auditLogPath ?? '')).filter(({ user }) => user === account);
    expect(refused).to.deep.equal([]);
  });

  it('keeps the certificates and the caBundle through an upgrade', async () => {
    const certificate = async (): Promise<string> =>
      kubectl('get', 'secret', 'guard-webhook', '-n', 'sallyport-system', '-o', 'jsonpath={.data.tls\\.crt}');
    const trust = async (): Promise<string> =>
      kubectl('get', 'mutatingwebhookconfiguration', 'guard-injection', '-o', 'jsonpath={.webhooks[0].clientConfig.caBundle}');
    const before = [await certificate(), await trust()];

    await helm('upgrade', 'guard', folder, '--set', 'fullnameOverride=guard', '--set', 'logLevel=debug');

    expect(before).to.not.include('');
    expect([await certificate(), await trust()]).to.deep.equal(before);
  });

  it('leaves only the CRDs behind', async () => {
    await helm('uninstall', 'guard');

    const kinds = 'clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations';
    expect(await kubectl('get', kinds, '-l', 'app.kubernetes.io/part-of=sallyport', '-o', 'name')).to.equal('');
    const own = 'deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings';
    expect(await kubectl('get', own, '-n', 'sallyport-system', '-l', 'app.kubernetes.io/part-of=sallyport', '-o', 'name')).to.equal('');
    expect(await kubectl('get', 'crd', 'authorizationpolicies.security.istio.io', '-o', 'name')).to.contain('authorizationpolicies');
  });
});
