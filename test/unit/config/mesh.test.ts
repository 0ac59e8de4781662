import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { durationSchema, meshSchema } from '../../../src/config/mesh.ts';

/** The messages of all issues, each with its path. */
function issues(mesh: unknown): readonly string[] {
  const result = meshSchema.safeParse(mesh);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

function provider(settings: object, kind = 'envoyExtAuthzHttp'): object {
  return { extensionProviders: [{ name: 'a', [kind]: { service: 'a.b', port: 1, ...settings } }] };
}

describe('durations', () => {
  for (const [text, ms] of [
    ['500ms', 500],
    ['5s', 5_000],
    ['1m30s', 90_000],
    ['20m', 1_200_000],
    ['1.5h', 5_400_000],
    ['0s', 0],
  ] as const) {
    it(`reads ${text}`, () => expect(durationSchema.parse(text)).to.equal(ms));
  }

  for (const text of ['', '5', 's', '-1s', '5 s', '1d', '1e3s', 'PT5S']) {
    it(`refuses "${text}"`, () => expect(durationSchema.safeParse(text).success).to.equal(false));
  }
});

describe('mesh settings', () => {
  it('have a default for every key', () => {
    expect(meshSchema.parse({})).to.deep.equal(DEFAULT_MESH_CONFIG);
  });

  it('take DEFAULT for the default path normalization', () => {
    expect(meshSchema.parse({ pathNormalization: { normalization: 'DEFAULT' } }).pathNormalization).to.equal('BASE');
    expect(meshSchema.parse({ pathNormalization: { normalization: 'NONE' } }).pathNormalization).to.equal('NONE');
  });

  it('leave out provider settings that are absent, and clearRouteCache always', () => {
    const [first] = meshSchema.parse(provider({ clearRouteCache: true })).extensionProviders;
    expect(first).to.deep.equal({
      name: 'a',
      protocol: 'http',
      service: 'a.b',
      port: 1,
      timeoutMs: 600_000,
      failOpen: false,
      statusOnError: 403,
    });
  });

  it('keep every setting of a provider', () => {
    const settings = {
      timeout: '250ms',
      failOpen: true,
      statusOnError: '503',
      includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true },
    };
    const [first] = meshSchema.parse(provider(settings, 'envoyExtAuthzGrpc')).extensionProviders;
    expect(first).to.deep.equal({
      name: 'a',
      protocol: 'grpc',
      service: 'a.b',
      port: 1,
      timeoutMs: 250,
      failOpen: true,
      statusOnError: 503,
      includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: false },
    });
  });

  it('refuse a namespace, a trust domain and a port that cannot exist', () => {
    expect(issues({ rootNamespace: 'Istio' })).to.deep.equal(['rootNamespace: not the name of a namespace']);
    expect(issues({ trustDomain: '' })).to.have.length(1);
    expect(issues(provider({ port: 0 }))).to.have.length(1);
  });

  it('refuse a status that is not a number, or that Envoy does not know', () => {
    expect(issues(provider({ statusOnError: 'Forbidden' }))[0]).to.include('not an HTTP status');
    expect(issues(provider({ statusOnError: 418 }))[0]).to.include('not an HTTP status that Envoy knows');
  });

  it('refuse settings of HTTP for a gRPC provider', () => {
    expect(issues(provider({ pathPrefix: '/check' }, 'envoyExtAuthzGrpc'))).to.have.length(1);
    expect(issues(provider({ pathPrefix: 'check' }))).to.have.length(1);
  });

  it('refuse an additional header with an operator that checks do not know, by name, and one that is not a header', () => {
    const at = 'extensionProviders.0.envoyExtAuthzHttp.includeAdditionalHeadersInCheck';
    const additional = (headers: object): readonly string[] => issues(provider({ includeAdditionalHeadersInCheck: headers }));
    expect(additional({ 'X-Made': '%REQ(:authority)% 100%%' })).to.deep.equal([]);
    expect(additional({ 'X-Made': 'at %START_TIME%' })[0]).to.match(new RegExp(`^${at}.X-Made: "%START_TIME%" is not supported`));
    expect(additional({ 'x made': 'a' })).to.have.length(1);
  });

  it('accept addresses and CIDR blocks as trusted proxies, of both IP versions', () => {
    const trustedProxies = ['10.0.0.7', '10.1.0.0/16', '::1', 'fd00::/8'];
    expect(meshSchema.parse({ trustedProxies }).trustedProxies).to.deep.equal(trustedProxies);
    expect(issues({ trustedProxies: ['10.0.0.7', 'proxy'] })).to.deep.equal(['trustedProxies.1: not an IP address or CIDR block']);
  });
});
