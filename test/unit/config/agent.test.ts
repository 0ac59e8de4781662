/*
 * The agent's configuration: what injection writes is read, flags win, and every mistake is named.
 */
import { expect } from 'chai';
import { loadAgentConfig } from '../../../src/config/agent.ts';
import { RefusedError } from '../../../src/errors.ts';
import { SIGNER } from '../../support/signing.ts';

describe('agent configuration', () => {
  it('has defaults for everything', () => {
    expect(loadAgentConfig([], {})).to.deep.equal({
      workload: undefined,
      trust: undefined,
      feed: undefined,
      bundleDir: '/etc/sallyport/bundle',
      labelsFile: undefined,
      stateDir: undefined,
      ports: [],
      podIp: undefined,
      adminPort: 15_020,
      capturePort: undefined,
      blockedPort: undefined,
      profilingPort: undefined,
      appProbes: {},
      logLevel: 'info',
      logFormat: 'json',
      accessLog: true,
      accessLogSampleRate: 1,
      acceptHttp10: false,
      reevaluateStreams: false,
      appProtocols: new Map(),
      drainMs: 10_000,
      maxConnections: 10_000,
      traces: undefined,
      tls: undefined,
    });
  });

  it('reads how TLS is terminated, with the files that injection mounts', () => {
    const tls = (text: string): unknown => loadAgentConfig([], { SALLYPORT_TLS: text }).tls;
    const files = { directory: '/etc/sallyport/tls', certificate: 'tls.crt', key: 'tls.key', trustBundle: 'ca.crt' };

    expect(tls('{"mode":"strict","trustDomains":["cluster.local"]}')).to.deep.equal({
      mode: 'strict',
      trustDomains: ['cluster.local'],
      files,
    });
    const own = '{"mode":"permissive","trustDomains":["a","b"],"directory":"/d","key":"svid_key.pem"}';
    expect(tls(own)).to.deep.include({ mode: 'permissive', files: { ...files, directory: '/d', key: 'svid_key.pem' } });
    for (const bad of [
      'strict',
      '{}',
      '{"mode":"off","trustDomains":["a"]}',
      '{"mode":"strict","trustDomains":[]}',
      '{"mode":"strict","trustDomains":["spiffe://a"]}',
      '{"mode":"strict","trustDomains":["a"],"key":"../x"}',
      '{"mode":"strict","trustDomains":["a"],"key":".."}',
      '{"mode":"strict","trustDomains":["a"],"x":1}',
    ])
      expect(() => tls(bad), bad).to.throw('SALLYPORT_TLS');
  });

  it('reads where the feed is, with the token and the name of the certificate that injection means', () => {
    const env = {
      POD_NAMESPACE: 'foo',
      SALLYPORT_WORKLOAD: 'httpbin',
      SALLYPORT_TRUST_ANCHOR: SIGNER.anchor,
      SALLYPORT_FEED: '{"address":"sallyport.system.svc:9444","authorities":"PEM"}',
    };
    expect(loadAgentConfig([], env).feed).to.deep.equal({
      host: 'sallyport.system.svc',
      port: 9444,
      serverName: 'sallyport.system.svc',
      authorities: 'PEM',
      tokenFile: '/var/run/secrets/sallyport.dev/feed/token',
    });
    const own = '{"address":"127.0.0.1:1","authorities":"","serverName":"a","tokenFile":"/t"}';
    expect(loadAgentConfig([], { ...env, SALLYPORT_FEED: own }).feed).to.include({ serverName: 'a', tokenFile: '/t' });
    for (const feed of [
      'no JSON',
      '{}',
      '{"address":"a","authorities":""}',
      '{"address":"a:0","authorities":""}',
      '{"address":"a:1","authorities":"","x":1}',
    ])
      expect(() => loadAgentConfig([], { ...env, SALLYPORT_FEED: feed }), feed).to.throw('SALLYPORT_FEED');
    expect(() => loadAgentConfig([], { ...env, SALLYPORT_TRUST_ANCHOR: '' })).to.throw('needs --trust-anchor');
  });

  it('reads where traces go by the names of the OpenTelemetry specification', () => {
    const endpoint = 'http://collector.obs:4318/otlp';
    expect(loadAgentConfig([], { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).traces).to.deep.equal({
      endpoint,
      sampler: 'parentbased_always_on',
      ratio: 1,
      podName: undefined,
    });
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      POD_NAME: 'web-1',
    };
    expect(loadAgentConfig([], env).traces).to.include({ sampler: 'traceidratio', ratio: 0.25, podName: 'web-1' });
    for (const [name, value] of [
      ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
      ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://collector'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:password@collector'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector/?a=b'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector:99999'],
    ] as const)
      expect(() => loadAgentConfig([], { ...env, [name]: value }), value).to.throw(name);
  });

  it('reads the environment that injection writes', () => {
    const probes = {
      'app/readyz': { httpGet: { port: 8080, path: '/', scheme: 'HTTP', httpHeaders: [{ name: 'a', value: 'b' }] }, timeoutSeconds: 2 },
    };
    const config = loadAgentConfig([], {
      POD_IP: '10.1.2.3',
      POD_NAMESPACE: 'foo',
      SALLYPORT_WORKLOAD: 'httpbin',
      SALLYPORT_PORTS: '15101:8080,15102:9090',
      SALLYPORT_APP_PROTOCOLS: '8080:http2,*:http1',
      SALLYPORT_BLOCKED_PORT: '15099',
      SALLYPORT_ADMIN_PORT: '15020',
      SALLYPORT_LABELS_FILE: '/labels',
      SALLYPORT_WORKLOAD_KIND: 'statefulset',
      SALLYPORT_STATE_DIR: '/state',
      SALLYPORT_APP_PROBES: JSON.stringify(probes),
      SALLYPORT_LOG_LEVEL: 'debug',
      SALLYPORT_LOG_FORMAT: 'text',
      SALLYPORT_ACCESS_LOG: 'off',
    });
    expect(config).to.deep.include({
      workload: { namespace: 'foo', kind: 'statefulset', name: 'httpbin' },
      podIp: '10.1.2.3',
      ports: [
        { listenPort: 15_101, appPort: 8080 },
        { listenPort: 15_102, appPort: 9090 },
      ],
      appProtocols: new Map([
        [8080, 'http2'],
        [0, 'http1'],
      ]),
      blockedPort: 15_099,
      labelsFile: '/labels',
      stateDir: '/state',
      appProbes: probes,
      logLevel: 'debug',
      logFormat: 'text',
      accessLog: false,
    });
  });

  it('lets flags win, and takes an empty variable for an absent one', () => {
    const config = loadAgentConfig(['--ports', '1:2', '--log-level=warn'], {
      SALLYPORT_PORTS: '3:4',
      SALLYPORT_LOG_LEVEL: 'info',
      POD_IP: '',
    });
    expect(config).to.deep.include({ ports: [{ listenPort: 1, appPort: 2 }], logLevel: 'warn', podIp: undefined });
  });

  for (const [args, named] of [
    [['--app-protocols', '80:quic'], '--app-protocols'],
    [['--app-protocols', '80'], '--app-protocols'],
    [['--ports', '80'], '--ports (SALLYPORT_PORTS)'],
    [['--ports', '80:0'], '--ports'],
    [['--ports', '80:65536'], '--ports'],
    [['--admin-port', 'x'], '--admin-port'],
    [['--admin-port', '-1'], '--admin-port'],
    [['--blocked-port', '1.5'], '--blocked-port'],
    [['--profiling-port', '0'], '--profiling-port (SALLYPORT_PROFILING_PORT)'],
    [['--pod-ip', 'localhost'], '--pod-ip'],
    [['--workload', 'a'], '--workload'],
    [['--log-level', 'loud'], '--log-level'],
    [['--log-format', 'xml'], '--log-format'],
    [['--access-log', 'yes'], '--access-log'],
    [['--access-log-sample-rate', '2'], '--access-log-sample-rate'],
    [['--app-probes', '{'], '--app-probes'],
    [['--app-probes', '{"x":{}}'], '--app-probes'],
    [['--app-probes', '{"a/readyz":{"exec":{}}}'], 'a/readyz'],
    [['--drain-seconds', '-1'], '--drain-seconds'],
    [['--max-connections', '0'], '--max-connections'],
    [['--nonsense'], 'nonsense'],
  ] as const) {
    it(`refuses ${args.join(' ')} and names it`, () => {
      expect(() => loadAgentConfig([...args], {}))
        .to.throw(RefusedError)
        .with.property('code', 'SP_CONFIG');
      expect(() => loadAgentConfig([...args], {})).to.throw(named);
    });
  }
});
