import { expect } from 'chai';
import { toJSONSchema } from 'zod';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import {
  CONTROLLER_SETTINGS,
  type ConfigInput,
  configFileOf,
  controllerConfigSchema,
  loadControllerConfig,
  namespacesToWatch,
} from '../../../src/config/controller.ts';

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

const load = (over: Partial<ConfigInput> = {}): ReturnType<typeof loadControllerConfig> =>
  loadControllerConfig({ args: [], env: {}, ...over });

describe('controller configuration', () => {
  it('has a default for everything', () => {
    const config = load();
    expect(config.mesh).to.deep.equal(DEFAULT_MESH_CONFIG);
    expect(config).to.deep.include({
      logLevel: 'info',
      logFormat: 'json',
      workers: 4,
      resyncMs: 36_000_000,
      profilingPort: 0,
      leaderElection: { enabled: true, name: 'sallyport-controller' },
    });
    expect(config.kubernetes).to.deep.equal({ qps: 200, burst: 400 });
    expect(config.jwks).to.deep.equal({
      refreshMs: 1_200_000,
      blockedCidrs: [],
      internalCidrs: [],
      internalSources: [{ cidrs: ['0.0.0.0/0', '::/0'] }],
      servers: [],
    });
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
      peerIdentity: { podIP: false },
      publicCheckHeaders: [],
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
    ...[
      { agentResources: { limits: { cpu: 'a' } } },
      { initResources: { limits: { memory: '64MB' } } },
      { initResources: { requests: { cpu: -1 } } },
    ].map((webhook) => ({
      name: `resources that are not quantities: ${JSON.stringify(webhook)}`,
      input: { fileText: JSON.stringify({ webhook }) },
      message: 'not a quantity such as 100m or 64Mi',
    })),
    ...[
      'extensionProviders: []',
      'trustDomain: a',
      'meshConfig: {}',
      'accessLogFile: /dev/stdout\nrootNamespace: a',
      'rootNamespace: a',
    ].map((fileText) => ({ name: `a MeshConfig as the file: ${fileText}`, input: { fileText }, message: 'belong below mesh' })),
    ...['agentResources', 'initResources'].map((name) => ({
      name: `requests of ${name} above its limit`,
      input: { fileText: JSON.stringify({ webhook: { [name]: { requests: { cpu: '1100m' }, limits: { cpu: 1 } } } }) },
      message: `webhook.${name}.requests.cpu: 1100m is above the limit of 1`,
    })),
    { name: 'a webhook without an image to inject', input: { args: ['--webhook', 'true'] }, message: 'webhook.agentImage: required' },
    {
      name: 'an image by digest without the image of the init container',
      input: { args: ['--agent-image', `example/agent@sha256:${'0'.repeat(64)}`] },
      message: 'webhook.initImage: required',
    },
  ];
  for (const { name, input, message } of wrong) {
    it(`refuses ${name}`, () => {
      expect(() => load(input))
        .to.throw(message)
        .with.property('code', 'SP_CONFIG');
    });
  }

  it('names every invalid setting in one error', () => {
    expect(() => load({ args: ['--log-format', 'xml'] })).to.throw('logFormat');
    expect(() => load({ fileText: 'workers: 0\nlogLevel: loud' }))
      .to.throw('workers')
      .with.property('message')
      .that.contains('logLevel');
  });

  it('has a description for every setting of the file', () => {
    const withoutDescription: string[] = [];
    const visit = (path: string, node: JsonSchema): void => {
      const inner = Object.entries(node.properties ?? node.items?.properties ?? {});
      for (const [key, child] of inner) visit(`${path}${key}.`, child);
      if (inner.length === 0 && node.description === undefined) withoutDescription.push(path);
    };
    visit('', toJSONSchema(controllerConfigSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
    expect(withoutDescription).to.deep.equal([]);
  });

  it('reads where agents send traces, and refuses what they could not use', () => {
    const traces = (text: string): unknown => load({ fileText: `webhook: { agentTraces: ${text} }` }).webhook.agentTraces;
    const settings = { endpoint: 'https://[::1]:4318', sampler: 'parentbased_traceidratio', samplerArg: 0.5 };
    expect(traces(JSON.stringify(settings))).to.deep.equal(settings);
    for (const [text, path] of [
      ['{}', 'endpoint'],
      ['{ endpoint: "collector:4318" }', 'endpoint'],
      ['{ endpoint: "http://collector:99999" }', 'endpoint'],
      ['{ endpoint: "http://collector", sampler: sometimes }', 'sampler'],
      ['{ endpoint: "http://collector", samplerArg: 2 }', 'samplerArg'],
    ] as const)
      expect(() => traces(text), text).to.throw(`webhook.agentTraces.${path}`);
  });

  it('reads every flag and variable into the key that it names', () => {
    const examples: Readonly<Record<string, string>> = {
      logLevel: 'debug',
      logFormat: 'text',
      'http.port': '1234',
      profilingPort: '6060',
      'traces.endpoint': 'http://collector:4318',
      'traces.sampler': 'always_off',
      'traces.samplerArg': '0.5',
      'kubernetes.qps': '5',
      'kubernetes.burst': '6',
      'leaderElection.enabled': 'false',
      workers: '7',
      resync: '1h',
      'jwks.refresh': '5m',
      'jwks.blockedCidrs': '10.0.0.0/8,192.168.0.0/16',
      'jwks.internalCidrs': '198.51.100.0/24',
      'webhook.enabled': 'false',
      'webhook.port': '4321',
      'webhook.tlsMinVersion': 'TLSv1.3',
      'webhook.captureMode': 'node',
      'webhook.agentImage': 'example/agent:1',
      'webhook.agentImagePullPolicy': 'Never',
      'reports.enabled': 'false',
      'feed.enabled': 'false',
      'feed.port': '4322',
    };
    for (const [path, flag, variable] of CONTROLLER_SETTINGS) {
      const value = examples[path] ?? 'some-value';
      const byFlag = load({ args: [`--${flag}`, value] });
      expect(byFlag, flag).to.deep.equal(load({ env: { [variable]: value } }));
      const isDefault = JSON.stringify(byFlag) === JSON.stringify(load());
      expect(isDefault, flag).to.equal(value === 'false' && ['webhook.enabled', 'reports.enabled', 'feed.enabled'].includes(path));
    }
    expect(load({ args: ['--jwks-blocked-cidrs', '10.0.0.0/8,192.168.0.0/16'] }).jwks.blockedCidrs).to.have.length(2);
  });

  it('serves the feed only with a webhook whose certificates the controller issues', () => {
    const env = { SALLYPORT_FEED_ENABLED: 'true' };
    const webhook = { SALLYPORT_WEBHOOK: 'true', SALLYPORT_AGENT_IMAGE: 'example/agent:1' };
    expect(() => load({ env })).to.throw('feed.enabled: needs webhook.enabled');
    const fileText = 'webhook: { certificateDirectory: /tls }';
    expect(() => load({ env: { ...env, ...webhook }, fileText })).to.throw('remove webhook.certificateDirectory');
    expect(load({ env: { ...env, ...webhook } }).feed).to.deep.equal({ enabled: true, host: '0.0.0.0', port: 9444, maxStreams: 2000 });
  });

  it('watches the whole cluster, or each of the namespaces named once, the root namespace and its own', () => {
    expect(namespacesToWatch(load())).to.equal(undefined);
    expect(namespacesToWatch(load({ fileText: 'watchNamespaces: []' }))).to.equal(undefined);
    const config = load({ fileText: 'mesh: { rootNamespace: root }\nwatchNamespaces: [shop, shop, root, bank]' });
    expect(config.watchNamespaces).to.deep.equal(['shop', 'root', 'bank']);
    expect(namespacesToWatch(config)).to.deep.equal(['shop', 'root', 'bank', 'sallyport-system']);
    expect(load({ args: ['--watch-namespaces', 'shop,bank'] }).watchNamespaces).to.deep.equal(['shop', 'bank']);
  });

  it('refuses more than 100 namespaces to watch, and names that no namespace has', () => {
    const names = (count: number): string => JSON.stringify(Array.from({ length: count }, (_, index) => `n${index}`));
    expect(load({ fileText: `watchNamespaces: ${names(100)}` }).watchNamespaces).to.have.length(100);
    expect(() => load({ fileText: `watchNamespaces: ${names(101)}` })).to.throw('watchNamespaces: more than 100 namespaces');
    for (const name of ['', '*', 'Shop', 'a/b', '-a', 'a'.repeat(64)]) {
      expect(() => load({ fileText: `watchNamespaces: ["${name}"]` }), name).to.throw('watchNamespaces.0: not a name of a namespace');
    }
  });

  it('takes the path of the file from a flag or the environment', () => {
    expect(configFileOf({ args: ['--config', 'a.yaml'], env: { SALLYPORT_CONFIG: 'b.yaml' } })).to.equal('a.yaml');
    expect(configFileOf({ args: [], env: { SALLYPORT_CONFIG: 'b.yaml' } })).to.equal('b.yaml');
    expect(configFileOf({ args: [], env: {} })).to.equal(undefined);
  });
});
