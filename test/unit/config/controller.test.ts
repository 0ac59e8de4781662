import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { type ConfigInput, configFileOf, loadControllerConfig } from '../../../src/config/controller.ts';
import { type ConfigFollower, followConfig } from '../../../src/config/follow-config.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { until } from '../../support/fake-clock.ts';

const load = (over: Partial<ConfigInput> = {}): ReturnType<typeof loadControllerConfig> =>
  loadControllerConfig({ args: [], env: {}, ...over });

describe('controller configuration', () => {
  it('has a default for everything', () => {
    const config = load();
    expect(config.mesh).to.deep.equal(DEFAULT_MESH_CONFIG);
    expect(config).to.deep.include({
      logLevel: 'info',
      workers: 4,
      resyncMs: 36_000_000,
      leaderElection: { enabled: true, name: 'sallyport-controller' },
    });
    expect(config.kubernetes).to.deep.equal({ qps: 200, burst: 400 });
    expect(config.jwks).to.deep.equal({ refreshMs: 1_200_000, blockedCidrs: [] });
  });

  it('lets flags win over the environment, the environment over the file, the file over defaults', () => {
    const fileText = 'workers: 2\nlogLevel: warn\nhttp:\n  port: 1\n  host: 127.0.0.1\n';
    const config = load({ fileText, env: { SALLYPORT_HTTP_PORT: '2', SALLYPORT_LOG_LEVEL: 'error' }, args: ['--http-port', '3'] });
    expect(config.http).to.deep.equal({ host: '127.0.0.1', port: 3 });
    expect(config).to.include({ workers: 2, logLevel: 'error' });
  });

  it("reads mesh settings under Istio's names", () => {
    const { mesh } = load({
      fileText: `
mesh:
  rootNamespace: mesh-root
  trustDomain: example.org
  trustDomainAliases: [old.example.org]
  pathNormalization: { normalization: MERGE_SLASHES }
  trustedProxies: [10.0.0.7, 10.1.0.0/16]
  extensionProviders:
  - name: authz
    envoyExtAuthzHttp: { service: authz.foo.svc, port: 8000, timeout: 1m0.5s, statusOnError: "500", includeRequestHeadersInCheck: [x-custom] }
  - name: authz-grpc
    envoyExtAuthzGrpc: { service: authz.foo.svc, port: 9000 }
`,
    });
    expect(mesh).to.deep.equal({
      rootNamespace: 'mesh-root',
      trustDomain: 'example.org',
      trustDomainAliases: ['old.example.org'],
      pathNormalization: 'MERGE_SLASHES',
      trustedProxies: ['10.0.0.7', '10.1.0.0/16'],
      multipleCustomProviders: false,
      extensionProviders: [
        {
          name: 'authz',
          protocol: 'http',
          service: 'authz.foo.svc',
          port: 8000,
          timeoutMs: 60_500,
          failOpen: false,
          statusOnError: 500,
          includeRequestHeadersInCheck: ['x-custom'],
        },
        {
          name: 'authz-grpc',
          protocol: 'grpc',
          service: 'authz.foo.svc',
          port: 9000,
          timeoutMs: 600_000,
          failOpen: false,
          statusOnError: 403,
        },
      ],
    });
  });

  const GRPC = '{ name: a, envoyExtAuthzGrpc: { service: a.b, port: 1 } }';
  const wrong: readonly { readonly name: string; readonly input: Partial<ConfigInput>; readonly message: string }[] = [
    { name: 'an unknown key', input: { fileText: 'worker: 3' }, message: 'worker' },
    { name: 'an unknown key of the mesh', input: { fileText: 'mesh: { rootNamespaces: x }' }, message: 'rootNamespaces' },
    { name: 'a trusted proxy by name', input: { fileText: 'mesh: { trustedProxies: [gateway.foo] }' }, message: 'not an IP address' },
    { name: 'a trusted zone', input: { fileText: 'mesh: { trustedProxies: ["fe80::1%eth0"] }' }, message: 'not an IP address' },
    { name: 'trusted proxies out of range', input: { fileText: 'mesh: { trustedProxies: [10.0.0.0/33] }' }, message: 'not an IP address' },
    { name: 'an unknown flag', input: { args: ['--wrokers', '3'] }, message: 'wrokers' },
    { name: 'a stray argument', input: { args: ['run'] }, message: 'run' },
    { name: 'a port that is not a number', input: { env: { SALLYPORT_HTTP_PORT: 'http' } }, message: 'http.port' },
    { name: 'a duration without a unit', input: { fileText: 'resync: "10"' }, message: 'resync: not a duration' },
    { name: 'a provider of both protocols', input: { fileText: 'mesh: { extensionProviders: [{ name: a }] }' }, message: 'exactly one of' },
    {
      name: 'two providers of one name',
      input: { fileText: `mesh: { extensionProviders: [${GRPC}, ${GRPC}] }` },
      message: 'the same name',
    },
    {
      name: 'a lone star among headers',
      input: {
        fileText:
          'mesh: { extensionProviders: [{ name: a, envoyExtAuthzHttp: { service: a.b, port: 1, headersToUpstreamOnAllow: ["*"] } }] }',
      },
      message: 'a lone *',
    },
    {
      name: 'a status without a name',
      input: { fileText: `mesh: { extensionProviders: [${GRPC.replace('port: 1', 'port: 1, statusOnError: "418"')}] }` },
      message: 'not an HTTP status',
    },
    { name: 'a file that is a list', input: { fileText: '- a' }, message: 'not a mapping' },
    { name: 'a file that is not YAML', input: { fileText: 'a: [' }, message: 'not YAML' },
    { name: 'a webhook without an image to inject', input: { args: ['--webhook', 'true'] }, message: 'webhook.agentImage: required' },
  ];
  for (const { name, input, message } of wrong) {
    it(`refuses ${name}`, () => {
      expect(() => load(input))
        .to.throw(message)
        .with.property('code', 'SP_CONFIG');
    });
  }

  it('names every invalid setting in one error', () => {
    expect(() => load({ fileText: 'workers: 0\nlogLevel: loud' }))
      .to.throw('workers')
      .with.property('message')
      .that.contains('logLevel');
  });

  it('takes the path of the file from a flag or the environment', () => {
    expect(configFileOf({ args: ['--config', 'a.yaml'], env: { SALLYPORT_CONFIG: 'b.yaml' } })).to.equal('a.yaml');
    expect(configFileOf({ args: [], env: { SALLYPORT_CONFIG: 'b.yaml' } })).to.equal('b.yaml');
    expect(configFileOf({ args: [], env: {} })).to.equal(undefined);
  });
});

describe('followed configuration', () => {
  const logger = createLogger({ level: 'silent', component: 'test' });
  let follower: ConfigFollower | undefined;
  afterEach(() => follower?.stop());

  it('takes up new mesh settings, and keeps the last good ones when the file breaks', async () => {
    let fileText = '';
    let notified = 0;
    const reloads: string[] = [];
    const read = (): Promise<ReturnType<typeof load>> => Promise.resolve().then(() => load({ fileText }));
    follower = followConfig({ first: load(), read, logger, pollMs: 2, onReload: (result) => reloads.push(result) });
    follower.mesh.subscribe(() => {
      notified += 1;
    });

    fileText = 'mesh: { rootNamespace: one }';
    await until(() => notified === 1, 'the change');
    expect(follower.mesh.current().rootNamespace).to.equal('one');

    fileText = 'mesh: { rootNamespace: [] }';
    await until(() => reloads.includes('failure'), 'the refusal');
    expect(follower.mesh.current().rootNamespace).to.equal('one');

    fileText = 'mesh: { rootNamespace: two }';
    await until(() => notified === 2, 'the next change');
    expect(reloads).to.deep.equal(['success', 'failure', 'success']);
  });

  it('does not notify listeners of settings that are not mesh settings', async () => {
    let notified = 0;
    const reloads: string[] = [];
    const read = (): Promise<ReturnType<typeof load>> => Promise.resolve(load({ fileText: 'workers: 9' }));
    follower = followConfig({ first: load(), read, logger, pollMs: 2, onReload: (result) => reloads.push(result) });
    follower.mesh.subscribe(() => {
      notified += 1;
    });
    await until(() => reloads.length === 1, 'the reload');
    expect(notified).to.equal(0);
  });
});
