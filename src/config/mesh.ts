/*
 * Mesh settings as people write them. In: the parsed YAML of the `sallyport` ConfigMap's mesh part, in the words of Istio's
 * MeshConfig. Out: a MeshConfig. Used by the controller's configuration and by directory mode.
 * @see istio.io/api mesh/v1alpha1/config.proto
 */
import { z } from 'zod';
import { parseGoAddress, parseGoPrefix } from '../api/istio/go-netip.ts';
import { DEFAULT_MESH_CONFIG, type ExtensionProvider, type MeshConfig } from '../api/mesh-config.ts';

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Text such as `5s`, `1m30s` or `20m` to milliseconds; used all over the configuration. */
export const durationSchema: z.ZodType<number, string> = z
  .string()
  .regex(DURATION, 'not a duration such as 5s, 500ms or 1m30s')
  .transform((text) => {
    let totalMs = 0;
    for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) totalMs += Number(count) * (UNIT_MS[unit ?? ''] ?? 0);
    return totalMs;
  });

const namespaceSchema = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'not the name of a namespace');
const ipBlockSchema = z
  .string()
  .refine((text) => (text.includes('/') ? parseGoPrefix(text) : parseGoAddress(text)) === undefined && !text.includes('%'), {
    error: 'not an IP address or CIDR block',
  });
/** Those that Envoy has a name for. */
const STATUSES: ReadonlySet<number> = new Set(
  (
    '100 200 201 202 203 204 205 206 207 208 226 300 301 302 303 304 305 307 308 400 401 402 403 404 405 406 407 408 409 410 411 412 ' +
    '413 414 415 416 417 421 422 423 424 426 428 429 431 500 501 502 503 504 505 506 507 508 510 511'
  )
    .split(' ')
    .map(Number),
);
const statusSchema = z
  .union([z.string().regex(/^[1-5]\d\d$/), z.int().min(100).max(599)], { error: 'not an HTTP status' })
  .transform(Number)
  .refine((status) => STATUSES.has(status), { error: 'not an HTTP status that Envoy knows' });

const commonProvider = {
  service: z.string().min(1),
  port: z.int().min(1).max(65_535),
  timeout: durationSchema.default(600_000),
  failOpen: z.boolean().default(false),
  statusOnError: statusSchema.default(403),
  includeRequestBodyInCheck: z
    .strictObject({
      maxRequestBytes: z.int().min(1),
      allowPartialMessage: z.boolean().default(false),
      packAsBytes: z.boolean().default(false),
    })
    .optional(),
  clearRouteCache: z.boolean().optional(),
};
const headerPatterns = z
  .array(
    z
      .string()
      .min(1)
      .refine((pattern) => pattern !== '*', { error: 'a lone * is no pattern: a prefix or a suffix is wanted' }),
  )
  .optional();
const httpProvider = z.strictObject({
  ...commonProvider,
  pathPrefix: z.string().startsWith('/').optional(),
  includeRequestHeadersInCheck: headerPatterns,
  includeAdditionalHeadersInCheck: z.record(z.string(), z.string()).optional(),
  headersToUpstreamOnAllow: headerPatterns,
  headersToDownstreamOnAllow: headerPatterns,
  headersToDownstreamOnDeny: headerPatterns,
});
const grpcProvider = z.strictObject(commonProvider);
const providerSchema = z
  .strictObject({ name: z.string().min(1), envoyExtAuthzHttp: httpProvider.optional(), envoyExtAuthzGrpc: grpcProvider.optional() })
  .refine((provider) => (provider.envoyExtAuthzHttp === undefined) !== (provider.envoyExtAuthzGrpc === undefined), {
    error: 'exactly one of envoyExtAuthzHttp and envoyExtAuthzGrpc is needed',
  });

const meshObject = z.strictObject({
  rootNamespace: namespaceSchema.default(DEFAULT_MESH_CONFIG.rootNamespace),
  trustDomain: z.string().min(1).default(DEFAULT_MESH_CONFIG.trustDomain),
  trustDomainAliases: z.array(z.string().min(1)).default([]),
  pathNormalization: z
    .strictObject({ normalization: z.enum(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']) })
    .default({ normalization: 'DEFAULT' }),
  extensionProviders: z
    .array(providerSchema)
    .refine((providers) => new Set(providers.map(({ name }) => name)).size === providers.length, {
      error: 'two providers have the same name',
    })
    .default([]),
  trustedProxies: z.array(ipBlockSchema).default([]),
  multipleCustomProviders: z.boolean().default(DEFAULT_MESH_CONFIG.multipleCustomProviders),
});

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
  if (settings === undefined) throw new TypeError('the schema lets no provider without settings pass');
  const { timeout, clearRouteCache: _unused, ...rest } = settings;
  const present = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return {
    ...(present as Omit<typeof rest, 'includeRequestBodyInCheck'>),
    name: provider.name,
    protocol: http === undefined ? 'grpc' : 'http',
    timeoutMs: timeout,
  };
}
