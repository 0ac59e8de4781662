/*
 * Generates ext_authz providers of the mesh configuration, valid ones and ones that Istio cannot use.
 */
import type { Draw } from './draw.ts';

export type Provider = { readonly name: string } & Readonly<Record<string, unknown>>;

const HTTP = { service: 'ext.foo.svc.cluster.local', port: 8000, includeRequestHeadersInCheck: ['x-ext-authz'] };
const GRPC = { service: 'ext.foo.svc.cluster.local', port: 9000 };

/** Provider names in policies, some of which are not configured. */
const UNUSABLE: readonly Provider[] = [
  { name: 'Ext-Http', envoyExtAuthzHttp: HTTP },
  { name: 'ext.http', envoyExtAuthzHttp: HTTP },
  { name: 'ext_grpc', envoyExtAuthzGrpc: GRPC },
  { name: '-ext', envoyExtAuthzGrpc: GRPC },
  { name: 'e'.repeat(64), envoyExtAuthzGrpc: GRPC },
  { name: 'no-port', envoyExtAuthzHttp: { service: HTTP.service } },
  { name: 'no-service', envoyExtAuthzGrpc: { port: 9000 } },
  { name: 'bad-port', envoyExtAuthzGrpc: { ...GRPC, port: 70_000 } },
  { name: 'bad-prefix', envoyExtAuthzHttp: { ...HTTP, pathPrefix: 'check' } },
  { name: 'bad-pattern', envoyExtAuthzHttp: { ...HTTP, includeRequestHeadersInCheck: ['*'] } },
  { name: 'bad-status', envoyExtAuthzHttp: { ...HTTP, statusOnError: 'abc' } },
  { name: 'low-status', envoyExtAuthzGrpc: { ...GRPC, statusOnError: '99' } },
  { name: 'no-limit', envoyExtAuthzGrpc: { ...GRPC, includeRequestBodyInCheck: {} } },
  { name: 'odd-status', envoyExtAuthzGrpc: { ...GRPC, statusOnError: '418' } },
  { name: 'tracer', zipkin: { service: 'zipkin.foo.svc.cluster.local', port: 9411 } },
];

/** Values of additional headers. */
const FORMATS: readonly string[] = [
  'new',
  '%REQ(:method)% %REQ(:scheme)%://%REQ(:authority)%%REQ(:path)%',
  'a%REQ(x-user)%b',
  '%REQ(x-none?cookie):3%',
  '%REQ(X-Env?x-user)%',
  '100%% of %PROTOCOL% from %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  '%REQ(x-none)%',
];

/** Only the proxy responds to a body that is too long, not the library: here it is truncated instead. */
function bodyInCheck(draw: Draw): object {
  return draw.maybe(0.3, () => ({
    includeRequestBodyInCheck: {
      maxRequestBytes: draw.pick([1, 2, 8192]),
      allowPartialMessage: true,
      ...draw.maybe(0.4, () => ({ packAsBytes: draw.chance(0.5) })),
    },
  }));
}

/** One or two valid providers, sometimes with an invalid one. */
export function drawProviders(draw: Draw): readonly Provider[] {
  const http = {
    name: 'ext-http',
    envoyExtAuthzHttp: {
      ...HTTP,
      ...bodyInCheck(draw),
      ...draw.maybe(0.25, () => ({ pathPrefix: draw.pick(['/check', '/c/', '/']) })),
      includeRequestHeadersInCheck: draw.pick([['x-ext-authz'], ['x-ext-authz', 'x-user'], ['x-*', 'cookie'], ['X-Ext-Authz']]),
      ...draw.maybe(0.4, () => ({
        includeAdditionalHeadersInCheck: {
          'x-ext-authz-additional-header-new': draw.pick(FORMATS),
          'x-ext-authz-additional-header-override': draw.pick(['over', ...FORMATS]),
        },
      })),
      ...draw.maybe(0.5, () => ({ headersToUpstreamOnAllow: draw.pick([['x-ext-authz-*'], ['x-ext-authz-check-result'], ['*-result']]) })),
      ...draw.maybe(0.5, () => ({
        headersToDownstreamOnDeny: draw.pick([['x-ext-authz-*'], ['content-type'], ['x-ext-authz-check-result', 'content-type']]),
      })),
    },
  };
  const grpc = { name: 'ext-grpc', envoyExtAuthzGrpc: { ...GRPC, ...bodyInCheck(draw) } };
  return [...draw.pick([[http], [grpc], [http, grpc]]), ...(draw.chance(0.25) ? [draw.pick(UNUSABLE)] : [])];
}
