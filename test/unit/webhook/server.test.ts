/* The webhook over TLS, called like by an API server. */
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../src/api/mesh-config.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createWebhookMetrics, type ReviewSample } from '../../../src/telemetry/webhook-metrics.ts';
import type { SpanDescription, Tracer } from '../../../src/traces/tracer.ts';
import type { AdmissionResponse } from '../../../src/webhook/admission.ts';
import { type Certificates, renewCertificates } from '../../../src/webhook/certs/renew.ts';
import { reviewPod } from '../../../src/webhook/mutate.ts';
import { type AdmissionServer, startAdmissionServer } from '../../../src/webhook/server.ts';
import { traceReview } from '../../../src/webhook/trace-review.ts';
import { reviewPolicy } from '../../../src/webhook/validate.ts';
import { until } from '../../support/fake-clock.ts';
import { TRUST } from '../../support/guarded-pods.ts';

interface Response {
  readonly status: number;
  readonly body: string;
}

interface Review {
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly patchType?: string;
    readonly patch?: string;
    readonly warnings?: readonly string[];
    readonly status?: { readonly message: string };
  };
}

const dnsNames = ['sallyport.sallyport-system.svc'];
const settings = { image: 'example/agent:1', version: '1.2.3' };

function reviewOf(object: object, more: object = {}): object {
  const admission = { uid: 'u-1', namespace: 'foo', operation: 'CREATE', object, ...more };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: admission };
}

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    generateName: 'httpbin-6b8c9f-',
    labels: { app: 'httpbin', 'pod-template-hash': '6b8c9f' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'httpbin-6b8c9f', uid: 'r', controller: true }],
  },
  spec: { unknownField: { kept: true }, containers: [{ name: 'httpbin', ports: [{ containerPort: 8080 }] }] },
};

function policy(spec: object, metadata: object = {}): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'jwt', namespace: 'foo', ...metadata },
    spec,
  };
}

function warningsOn(rule: object, mesh: MeshConfig): unknown {
  return reviewPolicy(
    {
      namespace: 'foo',
      object: {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'p', namespace: 'foo' },
        spec: { rules: [rule] },
      },
    } as unknown as Parameters<typeof reviewPolicy>[0],
    { mesh, portsFor: () => undefined, whyOverBudget: () => undefined },
  ).warnings;
}

let server: AdmissionServer;
let certificates: Certificates;
let registry: Registry;
let samples: ReviewSample[] = [];
/** Lines of level error. */
let bugs = 0;

/** Registers the hooks of one describe. */
function setUp(): void {
  before(async () => {
    certificates = await renewCertificates(undefined, { nowMs: Date.now(), dnsNames, isTrusted: true });
    registry = new Registry();
    const metrics = createWebhookMetrics(registry);
    server = await startAdmissionServer({
      host: '127.0.0.1',
      port: 0,
      tlsMinVersion: 'TLSv1.2',
      reviewers: {
        '/mutate': (review) =>
          reviewPod(review, { settings, rootPoliciesFor: () => [], trustFor: () => TRUST, namespaceLabelsOf: () => undefined }),
        '/validate': (review) =>
          reviewPolicy(review, { mesh: DEFAULT_MESH_CONFIG, portsFor: () => undefined, whyOverBudget: () => undefined }),
        '/bug': () => {
          throw new TypeError('secret of the inside');
        },
      },
      metrics: {
        onReview: (sample) => {
          samples.push(sample);
          metrics.onReview(sample);
        },
      },
      logger: Object.assign(Object.create(createLogger({ level: 'silent', component: 'test' })), { error: () => void (bugs += 1) }),
    });
    server.serve(certificates.serving);
  });

  after(() => server.close());
}

function call(path: string, body: string | Buffer, options: Record<string, unknown> = {}): Promise<Response> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const target = { host: '127.0.0.1', port: server.port, servername: dnsNames[0], ca: certificates.authority.certPem, agent: false };
    const sent = request({ ...target, method: 'POST', path, headers, ...options }, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function review(path: string, object: object, more: object = {}): Promise<Review['response']> {
  const answer = await call(path, JSON.stringify(reviewOf(object, more)));
  expect(answer.status, answer.body).to.equal(200);
  return (JSON.parse(answer.body) as Review).response;
}

describe('admission server: pods', () => {
  setUp();

  it('responds to a new pod with a patch of the injected fields only', async () => {
    const response = await review('/mutate?timeout=10s', pod);

    expect(response.uid).to.equal('u-1');
    expect(response.allowed).to.equal(true);
    expect(response.patchType).to.equal('JSONPatch');
    const patch = JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString()) as { op: string; path: string; value: unknown }[];
    expect(patch.map(({ op, path }) => `${op} ${path}`)).to.deep.equal([
      'add /metadata/annotations',
      'add /spec/initContainers',
      'add /spec/volumes',
    ]);
    const [annotations] = patch;
    expect(JSON.stringify(annotations?.value)).to.contain('sallyport-bundle-deployment.httpbin');
  });

  it('denies a pod that claims to be the mirror of a static pod, unless a kubelet creates it', async () => {
    const mirror = { ...pod, metadata: { ...pod.metadata, annotations: { 'kubernetes.io/config.mirror': 'x' } } };

    const byUser = await review('/mutate', mirror, { userInfo: { groups: ['system:authenticated'] } });
    const byKubelet = await review('/mutate', mirror, { userInfo: { groups: ['system:nodes', 'system:authenticated'] } });

    expect(byUser).to.deep.include({ allowed: false });
    expect(byUser.status?.message).to.equal('the annotation kubernetes.io/config.mirror is reserved for kubelets');
    expect(byKubelet).to.deep.equal({ uid: 'u-1', allowed: true });
  });

  it('does not change an injected pod', async () => {
    const first = await review('/mutate', pod);
    const patch = JSON.parse(Buffer.from(first.patch ?? '', 'base64').toString()) as { path: string; value: object }[];
    const injected = structuredClone(pod) as unknown as Record<string, Record<string, unknown>>;
    for (const { path, value } of patch) {
      const [, part = '', field = ''] = path.split('/');
      injected[part] = { ...injected[part], [field]: value };
    }

    const second = await review('/mutate', injected);

    expect(second).to.deep.equal({ uid: 'u-1', allowed: true });
  });

  it('allows updates of a pod and other kinds unchanged', async () => {
    expect(await review('/mutate', pod, { operation: 'UPDATE' })).to.deep.equal({ uid: 'u-1', allowed: true });
    expect(await review('/mutate', { ...pod, kind: 'Job' })).to.deep.equal({ uid: 'u-1', allowed: true });
  });

  it('denies a pod with an invalid annotation, with field and reason', async () => {
    const annotations = { 'sallyport.dev/exclude-inbound-ports': 'http' };
    const response = await review('/mutate', { ...pod, metadata: { name: 'p', annotations } });

    expect(response.allowed).to.equal(false);
    expect(response.status?.message).to.equal(
      'no agent can be injected: metadata.annotations[sallyport.dev/exclude-inbound-ports]: "http" is not a comma-separated list of ports',
    );
  });

  it('warns of a pod that it does not inject', async () => {
    const response = await review('/mutate', { ...pod, spec: { ...pod.spec, hostNetwork: true } });

    expect(response.allowed).to.equal(true);
    expect(response.patch).to.equal(undefined);
    expect(response.warnings).to.have.length(1);
  });
});

describe('admission server: policies', () => {
  setUp();

  it('allows a valid policy', async () => {
    expect(await review('/validate', policy({ jwtRules: [{ issuer: 'a', jwks: '{"keys":[]}' }] }))).to.include({ allowed: true });
  });

  it('returns lint warnings for a valid policy, and none for a rejected one', () => {
    const warningsOf = (paths: readonly string[]): unknown => warningsOn({ to: [{ operation: { paths } }] }, DEFAULT_MESH_CONFIG);

    expect(warningsOf(['admin'])).to.deep.equal([
      'spec.rules[0].to[0].operation.paths[0]: "admin" never matches: every path starts with /; write /admin',
    ]);
    expect(warningsOf(['/admin'])).to.deep.equal([]);
    expect(warningsOf(['admin', ''])).to.deep.equal([]);
  });

  it('warns of a policy that Istio admits and the controller refuses', () => {
    expect(warningsOn({ when: [{ key: 'request.auth.claims[a][]', values: ['b'] }] }, DEFAULT_MESH_CONFIG)).to.deep.equal([
      'spec.rules[0].when[0].key: request.auth.claims[a][] has an empty name: Envoy refuses the whole listener for it',
    ]);
  });

  it('returns lint warnings that depend on the mesh settings: path normalization and trusted proxies', () => {
    const paths = { to: [{ operation: { paths: ['/a/./b'] } }] };
    const identity = { from: [{ source: { namespaces: ['a'] } }] };

    expect(warningsOn(paths, DEFAULT_MESH_CONFIG)).to.have.length(1);
    expect(warningsOn(paths, { ...DEFAULT_MESH_CONFIG, pathNormalization: 'NONE' })).to.deep.equal([]);
    expect(warningsOn(identity, DEFAULT_MESH_CONFIG)).to.have.length(1);
    expect(warningsOn(identity, { ...DEFAULT_MESH_CONFIG, trustedProxies: ['10.0.0.0/8'] })).to.deep.equal([]);
  });

  it('warns of a port that no selected pod serves', () => {
    const object = policy({ rules: [{ to: [{ operation: { ports: ['80'] } }] }] }, { namespace: 'foo' });
    const request = { namespace: 'foo', object } as unknown as Parameters<typeof reviewPolicy>[0];
    const warnings = (ports: ReadonlySet<number> | undefined): unknown =>
      reviewPolicy(
        { ...request, object: { ...request.object, kind: 'AuthorizationPolicy' } },
        { mesh: DEFAULT_MESH_CONFIG, portsFor: () => ports, whyOverBudget: () => undefined },
      ).warnings;

    expect(warnings(new Set([8080]))).to.deep.equal([
      'spec.rules[0].to[0].operation.ports[0]: port 80 never matches: policies see the port of the container, and no selected pod serves 80; ' +
        'the selected pods serve 8080',
    ]);
    expect(warnings(new Set([80]))).to.deep.equal([]);
    expect(warnings(undefined)).to.deep.equal([]);
  });

  it('warns of a CUSTOM policy whose provider is not configured, and allows it', () => {
    const spec = { action: 'CUSTOM', provider: { name: 'gate' }, rules: [{}] };
    const object = { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name: 'p', namespace: 'foo' }, spec };
    const request = { namespace: 'foo', object } as unknown as Parameters<typeof reviewPolicy>[0];
    const mesh = { ...DEFAULT_MESH_CONFIG, extensionProviders: [{ name: 'gate' }] } as unknown as MeshConfig;
    const reply = (settings: MeshConfig): ReturnType<typeof reviewPolicy> =>
      reviewPolicy(request, { mesh: settings, portsFor: () => undefined, whyOverBudget: () => undefined });

    expect(reply(DEFAULT_MESH_CONFIG)).to.have.property('allowed', true);
    expect(reply(DEFAULT_MESH_CONFIG).warnings).to.deep.equal([
      'spec.provider.name: unknown extension provider gate; matching requests are denied; configure it in mesh.extensionProviders',
    ]);
    expect(reply(mesh).warnings).to.deep.equal([]);
  });

  it('denies a policy of the root namespace that is over the budget, and warns of any other', () => {
    const reply = (namespace: string): ReturnType<typeof reviewPolicy> => {
      const object = {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'p', namespace },
        spec: { action: 'DENY', rules: [{}] },
      };
      const request = { namespace, object } as unknown as Parameters<typeof reviewPolicy>[0];
      return reviewPolicy(request, {
        mesh: DEFAULT_MESH_CONFIG,
        portsFor: () => undefined,
        whyOverBudget: ({ metadata }) => `${metadata.name} is large`,
      });
    };

    expect(reply('istio-system')).to.include({
      allowed: false,
      message: 'the policy is over the budget of the root namespace: p is large',
    });
    expect(reply('foo').allowed).to.equal(true);
    expect(reply('foo').warnings?.[0]).to.equal('the policy may be over its budget: p is large');
  });

  it("denies an invalid policy with Istio's message", async () => {
    const response = await review('/validate', policy({ jwtRules: [{ issuer: '' }] }));

    expect(response.allowed).to.equal(false);
    expect(response.status?.message).to.match(/^configuration is invalid: .*issuer/s);
  });

  it('allows an invalid policy that is being deleted', async () => {
    const object = policy({ jwtRules: [{ issuer: '' }] }, { deletionTimestamp: '2026-01-01T00:00:00Z' });

    expect(await review('/validate', object, { operation: 'UPDATE' })).to.deep.equal({ uid: 'u-1', allowed: true });
  });
});

describe('admission server: errors, certificates and metrics', () => {
  setUp();

  const errors: readonly (readonly [string, string, string, Record<string, unknown>, number])[] = [
    ['another path', '/nosuch', '{}', {}, 404],
    ['a path of every object', '/constructor', '{}', {}, 404],
    ['a target that is not a URL', '//', '{}', {}, 404],
    ['a target with an invalid port', '//webhook:99999/mutate', '{}', {}, 404],
    ['another method', '/mutate', '{}', { method: 'PUT' }, 405],
    ['another content type', '/mutate', '{}', { headers: { 'content-type': 'text/plain' } }, 415],
    ['a body that is not JSON', '/mutate', '{', {}, 400],
    ['JSON that is not a review', '/mutate', '[]', {}, 400],
    [
      'a review of another version',
      '/mutate',
      JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1beta1' }),
      {},
      400,
    ],
    ['a review without a request', '/mutate', JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' }), {}, 400],
  ];
  for (const [name, path, body, options, status] of errors) {
    it(`responds with ${status} to ${name}`, async () => {
      expect((await call(path, body, options)).status).to.equal(status);
    });
  }

  it('rejects a body that is too large', async () => {
    const answer = await call('/mutate', Buffer.alloc(5 * 1024 * 1024, 0x20)).catch((error: NodeJS.ErrnoException) => ({
      status: error.code,
    }));

    expect(answer.status).to.be.oneOf([413, 'EPIPE', 'ECONNRESET']);
  });

  it('does not take a client that leaves within a body for a bug', async () => {
    const before = bugs;
    const headers = { 'content-type': 'application/json', 'content-length': 1000 };
    const sent = request({
      host: '127.0.0.1',
      port: server.port,
      servername: dnsNames[0],
      ca: certificates.authority.certPem,
      method: 'POST',
      path: '/mutate',
      headers,
    });
    sent.on('error', () => {});
    sent.write('{', () => sent.destroy());
    const reviews = (): Promise<string> => registry.getSingleMetricAsString('sallyport_admission_reviews_total');
    const errorsBefore = await reviews();
    await until(async () => (await reviews()) !== errorsBefore, 'the request to end');
    expect(bugs).to.equal(before);
  });

  it('does not disclose the error of a bug', async () => {
    expect(await call('/bug', JSON.stringify(reviewOf(pod)))).to.deep.equal({ status: 500, body: 'internal error\n' });
  });

  it('serves a new certificate without a restart', async () => {
    const before = certificates;
    certificates = await renewCertificates(undefined, { nowMs: Date.now(), dnsNames, isTrusted: true });
    server.serve(certificates.serving);

    expect((await review('/mutate', pod)).allowed).to.equal(true);
    const distrusted = await call('/mutate', '', { ca: before.authority.certPem }).catch((error: Error) => error.message);
    expect(distrusted).to.match(/unable to|self-signed|signature/);
  });

  it('rejects TLS 1.1', async () => {
    const answer = await call('/mutate', '', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }).catch((error: Error) => error.message);

    expect(answer).to.be.a('string');
  });

  it('counts reviews by result', async () => {
    const series = await registry.metrics();

    expect(series).to.match(/sallyport_admission_reviews_total\{webhook="\/mutate",result="patched"\} \d/);
    expect(series).to.match(/controller_runtime_webhook_requests_total\{webhook="unknown",code="404"\} 4/);
  });
});

describe('admission server: memory', () => {
  const large = JSON.stringify(reviewOf({ kind: 'Large', text: 'a'.repeat(4_000_000) }));
  let held: (() => void)[] = [];

  async function start(memoryWaitMs: number): Promise<void> {
    certificates = await renewCertificates(undefined, { nowMs: Date.now(), dnsNames, isTrusted: true });
    [held, samples] = [[], []];
    const hold = async (): Promise<AdmissionResponse> => {
      await new Promise<void>((resolve) => held.push(resolve));
      return { allowed: true };
    };
    server = await startAdmissionServer({
      host: '127.0.0.1',
      port: 0,
      tlsMinVersion: 'TLSv1.2',
      reviewers: { '/hold': hold, '/pass': () => ({ allowed: true }) },
      metrics: { onReview: (sample) => void samples.push(sample) },
      logger: createLogger({ level: 'silent', component: 'test' }),
      memoryWaitMs,
    });
    server.serve(certificates.serving);
  }

  afterEach(() => server.close());

  it('is not given to a large body while others have it, but to small ones', async () => {
    await start(1);
    const first = [1, 2, 3].map(() => call('/hold', large));
    await until(() => held.length === 3, 'three reviews');

    // The connection may end before the client has read why.
    const refused = await call('/pass', large).then(
      ({ status, body }) => `${status} ${body}`,
      () => '503 other reviews take too much memory\n',
    );
    expect(refused).to.equal('503 other reviews take too much memory\n');
    expect(samples).to.have.lengthOf(1);
    expect(samples[0]).to.include({ webhook: '/pass', code: 503, result: 'error' });
    const small = await Promise.all(Array.from({ length: 50 }, () => call('/pass', JSON.stringify(reviewOf(pod)))));
    expect(small.map(({ status }) => status)).to.deep.equal(small.map(() => 200));
    for (const end of held) end();
    expect((await Promise.all(first)).map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    expect((await call('/pass', large)).status).to.equal(200);
  });

  it('is given to a large body when a review has ended', async () => {
    await start(60_000);
    const all = [1, 2, 3, 4].map(() => call('/hold', large));
    await until(() => held.length === 3, 'three reviews');
    held.shift()?.();
    await until(() => held.length === 3, 'the fourth review');
    for (const end of held) end();
    expect((await Promise.all(all)).map(({ status }) => status)).to.deep.equal([200, 200, 200, 200]);
  });

  it('is not given to a body that would take it all when it is parsed', async () => {
    await start(1);

    expect(await call('/pass', `[${'{},'.repeat(1_000_000)}1]`)).to.deep.equal({ status: 413, body: 'the review takes too much memory\n' });
  });
});

describe('admission server: traces', () => {
  setUp();

  it('have the trace context of the API server, and the path of the webhook only', async () => {
    samples = [];
    const traceParent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const headers = { 'content-type': 'application/json', traceparent: traceParent };
    const review = JSON.stringify(reviewOf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }));
    await call('/validate', review, { headers });
    await call('/secret-of-a-client', '{}');
    await call('/bug', review);

    expect(samples.map(({ webhook, code, result }) => [webhook, code, result])).to.deep.equal([
      ['/validate', 200, 'denied'],
      ['unknown', 404, 'error'],
      ['/bug', 500, 'error'],
    ]);
    expect(samples.map((sample) => sample.traceParent)).to.deep.equal([traceParent, undefined, undefined]);
  });

  it('have a span for each review', () => {
    const spans: [SpanDescription, number][] = [];
    const tracer: Tracer = { trace: (_, work) => work(() => undefined), record: (...span) => void spans.push(span) };
    traceReview(tracer, { webhook: '/mutate', code: 200, result: 'patched', durationMs: 3, traceParent: 'x' });

    const attributes = { 'url.path': '/mutate', 'http.response.status_code': 200, 'sallyport.result': 'patched' };
    expect(spans).to.deep.equal([[{ name: 'admission /mutate', kind: 'server', attributes, traceParent: 'x' }, 3]]);
  });
});
