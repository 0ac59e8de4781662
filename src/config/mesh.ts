/*
 * Schema of the mesh settings: the `mesh` part of the controller's configuration file, with the field names of Istio's
 * MeshConfig. Directory mode reads the same part.
 * @see istio.io/api mesh/v1alpha1/config.proto
 */
import * as z from 'zod';
import { formatProblem, HEADER_FORMAT } from '../api/header-format.ts';
import { DEFAULT_MESH_CONFIG, type ExtensionProvider, type MeshConfig } from '../api/mesh-config.ts';
import { HEADER_NAME, HEADER_PATTERN, IP_BLOCK } from './patterns.ts';

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration such as `5s`, `1m30s` or `20m`, parsed to milliseconds. */
export const durationSchema: z.ZodType<number, string> = z
  .string()
  .regex(DURATION, 'not a duration such as 5s, 500ms or 1m30s')
  .transform((text) => {
    let totalMs = 0;
    for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gy)) totalMs += Number(count) * (UNIT_MS[unit ?? ''] ?? 0);
    return totalMs;
  });

/** The name of a namespace. */
export const namespaceSchema: z.ZodString = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'not the name of a namespace');
/** An IP address or a CIDR block. */
export const ipBlockSchema: z.ZodString = z.string().regex(IP_BLOCK, 'not an IP address or CIDR block');
/** HTTP statuses that Envoy's StatusCode enum contains. */
const STATUSES: readonly string[] = (
  '100 200 201 202 203 204 205 206 207 208 226 300 301 302 303 304 305 307 308 400 401 402 403 404 405 406 407 408 409 410 411 412 ' +
  '413 414 415 416 417 421 422 423 424 426 428 429 431 500 501 502 503 504 505 506 507 508 510 511'
).split(' ');
const statusSchema = z
  .union([z.enum(STATUSES), z.literal(STATUSES.map(Number))], { error: 'not an HTTP status that Envoy knows' })
  .transform(Number);

const commonProvider = {
  service: z.string().min(1).meta({ description: 'Host of the ext_authz service: `namespace/host` as in Istio, or a plain host name' }),
  port: z.int().min(1).max(65_535).meta({ description: 'Port of the ext_authz service' }),
  timeout: durationSchema.default(600_000).meta({ description: 'Deadline of one check' }),
  failOpen: z.boolean().default(false).meta({ description: 'Forwards requests while the service cannot be reached' }),
  statusOnError: statusSchema.default(403).meta({ description: 'Status of the response while the service cannot be reached' }),
  includeRequestBodyInCheck: z
    .strictObject({
      maxRequestBytes: z
        .int()
        .min(1)
        .meta({ description: 'Maximum number of body bytes that a check carries; without this section it carries none' }),
      allowPartialMessage: z
        .boolean()
        .default(false)
        .meta({ description: 'Sends the first bytes of a longer body; otherwise the client gets 413' }),
      packAsBytes: z.boolean().default(false).meta({ description: 'Sends the body as bytes instead of a string' }),
    })
    .optional()
    .meta({ description: 'Sends the body of the request with the check' }),
  clearRouteCache: z.boolean().optional().meta({ description: 'Accepted without effect: an agent has only one upstream' }),
};
const headerPatterns = z.array(z.string().min(1).regex(HEADER_PATTERN, 'a lone * is not a pattern: write a prefix or a suffix')).optional();
const headerFormat = z.string().regex(HEADER_FORMAT, { error: ({ input }) => formatProblem(String(input)) });
const httpProvider = z.strictObject({
  ...commonProvider,
  pathPrefix: z
    .string()
    .regex(/^\//, 'does not begin with /')
    .optional()
    .meta({ description: 'Prepended to the path of the check request' }),
  includeRequestHeadersInCheck: headerPatterns.meta({ description: 'Request headers that the check carries' }),
  includeAdditionalHeadersInCheck: z.record(z.string().regex(HEADER_NAME, 'not the name of a header'), headerFormat).optional().meta({
    description:
      "Additional headers of the check request, with their values. As in Envoy, `%REQ(name?other):3%` is a header of the client's request (of a second one if the first is absent, cut to three characters; also `:authority`, `:path`, `:method`, `:scheme`), `%PROTOCOL%` and `%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%` are replaced, `%%` is a percent sign; an empty value adds no header",
  }),
  headersToUpstreamOnAllow: headerPatterns.meta({
    description: 'Headers of the check response that are added to the request when it is allowed',
  }),
  headersToDownstreamOnAllow: headerPatterns.meta({
    description: 'Headers of the check response that are added to the response when the request is allowed',
  }),
  headersToDownstreamOnDeny: headerPatterns.meta({
    description: 'Headers of the check response that are sent to the client when the request is denied',
  }),
});
const grpcProvider = z.strictObject(commonProvider);
const providerSchema = z
  .strictObject({
    name: z.string().min(1).meta({ description: 'Name to which `provider.name` of a CUSTOM policy refers' }),
    envoyExtAuthzHttp: httpProvider.optional().meta({ description: 'A provider that is called over HTTP' }),
    envoyExtAuthzGrpc: grpcProvider.optional().meta({ description: 'A provider that is called over gRPC' }),
  })
  .refine((provider) => (provider.envoyExtAuthzHttp === undefined) !== (provider.envoyExtAuthzGrpc === undefined), {
    error: 'exactly one of envoyExtAuthzHttp and envoyExtAuthzGrpc is required',
  })
  // The JSON schema of the chart says the same.
  .meta({ oneOf: [{ required: ['envoyExtAuthzHttp'] }, { required: ['envoyExtAuthzGrpc'] }] });

const meshObject = z.strictObject({
  rootNamespace: namespaceSchema
    .default(DEFAULT_MESH_CONFIG.rootNamespace)
    .meta({ description: 'Namespace whose policies apply to all namespaces' }),
  trustDomain: z.string().min(1).default(DEFAULT_MESH_CONFIG.trustDomain).meta({ description: 'Trust domain of the workloads' }),
  trustDomainAliases: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'Trust domains that principals may name with the same meaning' }),
  pathNormalization: z
    .strictObject({
      normalization: z.enum(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']).meta({
        description:
          'How a path is normalized before it is evaluated and forwarded: `DEFAULT` (the same as `BASE`), `NONE`, `BASE`, `MERGE_SLASHES` or `DECODE_AND_MERGE_SLASHES`',
      }),
    })
    .default({ normalization: 'DEFAULT' })
    .meta({ description: 'Normalization of paths' }),
  extensionProviders: z
    .array(providerSchema)
    .refine((providers) => new Set(providers.map(({ name }) => name)).size === providers.length, {
      error: 'two providers have the same name',
    })
    .default([])
    .meta({ description: "External authorizers that CUSTOM policies may name, as in Istio's MeshConfig" }),
  trustedProxies: z.array(ipBlockSchema).default([]).meta({
    description:
      'Addresses and CIDR blocks of proxies in front that terminate mTLS: their `X-Forwarded-Client-Cert` identifies the client; from any other peer the header is removed',
  }),
  peerIdentity: z
    .strictObject({
      podIP: z.boolean().default(DEFAULT_MESH_CONFIG.peerIdentity.podIP).meta({
        description:
          'Agents identify peers without a certificate by the addresses of pods; it needs `feed.enabled`. A condition on a peer that is unknown then fails in ALLOW rules and holds in DENY rules, whether it is positive or negative. See docs/tasks/pod-ip-identity.md',
      }),
    })
    .default(DEFAULT_MESH_CONFIG.peerIdentity)
    .meta({ description: 'How agents identify peers without a certificate' }),
  publicCheckHeaders: z.array(z.string().min(1)).default([]).meta({
    description:
      'Headers of `includeAdditionalHeadersInCheck` whose values are not secret. A provider with any other header is called in the root namespace only, because its values would be readable in the ConfigMaps of other namespaces; there, requests that need it are denied',
  }),
  multipleCustomProviders: z
    .boolean()
    .default(DEFAULT_MESH_CONFIG.multipleCustomProviders)
    .meta({ description: 'Allows CUSTOM policies of one workload to name several providers' }),
});

/** The settings below `mesh`. */
export const MESH_KEYS: ReadonlySet<string> = new Set(Object.keys(meshObject.shape));

/** The mesh part of a configuration file; every key may be absent, an unknown key is an error. */
export const meshSchema: z.ZodType<MeshConfig> = meshObject.transform((mesh) => {
  const { normalization } = mesh.pathNormalization;
  return {
    ...mesh,
    pathNormalization: normalization === 'DEFAULT' ? DEFAULT_MESH_CONFIG.pathNormalization : normalization,
    extensionProviders: mesh.extensionProviders.map(toExtensionProvider),
  };
});

function toExtensionProvider(provider: z.output<typeof providerSchema>): ExtensionProvider {
  const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = provider;
  const settings = http ?? grpc;
  if (settings === undefined) throw new TypeError('the schema refuses a provider without settings');
  const { timeout, clearRouteCache: _unused, ...rest } = settings;
  const present = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return {
    ...(present as Omit<typeof rest, 'includeRequestBodyInCheck'>),
    name: provider.name,
    protocol: http === undefined ? 'grpc' : 'http',
    timeoutMs: timeout,
  };
}
