/*
 * The schema of a bundle in zod/mini. It is strict at every level: a member, clause attribute or matcher kind that this version does not
 * know rejects the whole bundle, because ignoring it could widen or empty a policy.
 */
import * as z from 'zod/mini';
import type { ExtensionProvider } from '../api/mesh-config.ts';
import { parseIpBlock } from '../policy/match/ip-block.ts';
import { parsePathTemplate } from '../policy/match/path-template.ts';
import type {
  Clause,
  CustomStep,
  Engine,
  IdentityMatch,
  JwtProvider,
  PathMatch,
  Program,
  Rule,
  Ruleset,
  StringMatch,
} from '../policy/model/program.ts';
import { BUNDLE_SCHEMA, type Bundle, type KeySet, type Variant } from './bundle.ts';

const string = z.string();
const strings = z.array(string);
const stringMap = z.record(string, string);
const ipBlock = string.check(z.refine((value) => parseIpBlock(value) !== undefined));
const template = string.check(z.refine((value) => parsePathTemplate(value) !== undefined));
const index = z.int().check(z.minimum(0));

/** Optional lists that are never empty: an empty list could be read as "no constraint" or as "never matches". */
function lists<M>(element: z.ZodMiniType<M>): {
  anyOf: z.ZodMiniOptional<z.ZodMiniArray<z.ZodMiniType<M>>>;
  noneOf: z.ZodMiniOptional<z.ZodMiniArray<z.ZodMiniType<M>>>;
} {
  const list = z.array(element).check(z.minLength(1));
  return { anyOf: z.optional(list), noneOf: z.optional(list) };
}

const stringMatch: z.ZodMiniType<StringMatch> = z.union([
  z.strictObject({ kind: z.enum(['exact', 'prefix', 'suffix']), value: string }),
  z.strictObject({ kind: z.literal('present') }),
]);
const pathMatch: z.ZodMiniType<PathMatch> = z.union([
  z.strictObject({ kind: z.enum(['exact', 'prefix', 'suffix']), value: string }),
  z.strictObject({ kind: z.literal('template'), value: template }),
  z.strictObject({ kind: z.literal('present') }),
]) as z.ZodMiniType<PathMatch>;
const identityMatch: z.ZodMiniType<IdentityMatch> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(['exact', 'prefix', 'suffix', 'spiffeSuffix']), value: string }),
  z.strictObject({ kind: z.literal('present') }),
  z.strictObject({ kind: z.literal('namespace'), pattern: string }),
  z.strictObject({ kind: z.literal('serviceAccount'), namespace: string, name: string }),
  z.strictObject({ kind: z.literal('trustDomain'), prefix: string, suffix: string }),
]) as z.ZodMiniType<IdentityMatch>;
const claimPath = strings.check(z.minLength(1));

/** The strict schema of one clause. */
export const clauseSchema: z.ZodMiniType<Clause> = z.discriminatedUnion('attribute', [
  z.strictObject({ attribute: z.enum(['host', 'method', 'sni']), field: string, ...lists(stringMatch) }),
  z.strictObject({ attribute: z.literal('path'), field: string, ...lists(pathMatch) }),
  z.strictObject({ attribute: z.literal('header'), field: string, name: string, ...lists(stringMatch) }),
  z.strictObject({ attribute: z.enum(['sourceIp', 'remoteIp', 'destinationIp']), field: string, ...lists<string>(ipBlock) }),
  z.strictObject({ attribute: z.literal('destinationPort'), field: string, ...lists<number>(index) }),
  z.strictObject({ attribute: z.literal('peer'), field: string, ...lists(identityMatch) }),
  z.strictObject({
    attribute: z.literal('requestPrincipal'),
    field: string,
    ...lists(z.strictObject({ iss: stringMatch, sub: stringMatch })),
  }),
  z.strictObject({ attribute: z.literal('claim'), field: string, path: claimPath, ...lists(stringMatch) }),
  z.strictObject({
    attribute: z.literal('metadata'),
    field: string,
    filter: string,
    path: claimPath,
    list: z.boolean(),
    ...lists(stringMatch),
  }),
]) as z.ZodMiniType<Clause>;

const provenance = z.strictObject({
  kind: z.enum(['RequestAuthentication', 'AuthorizationPolicy']),
  namespace: string,
  name: string,
  generation: index,
  rule: index,
});
const clauses = z.array(clauseSchema);
const entries = z.array(clauses).check(z.minLength(1));
/** The strict schema of one rule. */
export const ruleSchema: z.ZodMiniType<Rule> = z.strictObject({
  id: string,
  source: provenance,
  from: entries,
  to: entries,
  when: clauses,
});
const engine: z.ZodMiniType<Engine> = z.strictObject({ attached: z.boolean(), rules: z.array(ruleSchema) });

const extensionProvider: z.ZodMiniType<ExtensionProvider> = z.strictObject({
  name: string,
  protocol: z.enum(['http', 'grpc']),
  service: string,
  port: index,
  timeoutMs: z.number(),
  failOpen: z.boolean(),
  statusOnError: index,
  pathPrefix: z.optional(string),
  includeRequestHeadersInCheck: z.optional(strings),
  includeAdditionalHeadersInCheck: z.optional(stringMap),
  includeRequestBodyInCheck: z.optional(
    z.strictObject({ maxRequestBytes: index, allowPartialMessage: z.boolean(), packAsBytes: z.boolean() }),
  ),
  headersToUpstreamOnAllow: z.optional(strings),
  headersToDownstreamOnAllow: z.optional(strings),
  headersToDownstreamOnDeny: z.optional(strings),
}) as z.ZodMiniType<ExtensionProvider>;
const customStep: z.ZodMiniType<CustomStep> = z
  .strictObject({ name: string, provider: z.optional(extensionProvider), refusal: z.optional(string), rules: z.array(ruleSchema) })
  .check(
    z.refine((step) => (step.provider === undefined) !== (step.refusal === undefined), 'exactly one of provider and refusal is required'),
  ) as z.ZodMiniType<CustomStep>;

const ruleset: z.ZodMiniType<Ruleset> = z.strictObject({
  custom: z.array(customStep),
  audit: engine,
  deny: engine,
  allow: engine,
  dryRunDeny: engine,
  dryRunAllow: engine,
});

const jwtProvider: z.ZodMiniType<JwtProvider> = z.strictObject({
  name: string,
  source: provenance,
  issuer: string,
  audiences: strings,
  headers: z.array(z.strictObject({ name: string, prefix: string })),
  params: strings,
  cookies: strings,
  forward: z.boolean(),
  payloadHeader: string,
  claimHeaders: z.array(z.strictObject({ header: string, claim: string })),
  spaceDelimitedClaims: strings,
  keySet: string,
  required: z.boolean(),
});

const program: z.ZodMiniType<Program> = z.strictObject({
  pathNormalization: z.enum(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']),
  trustedProxies: z.array(ipBlock),
  providers: z.array(jwtProvider),
  http: ruleset,
  tcp: ruleset,
});

const keySet: z.ZodMiniType<KeySet> = z.strictObject({ source: string, keys: z.array(stringMap).check(z.minLength(1)) });
const variant: z.ZodMiniType<Variant> = z.strictObject({ labels: stringMap, program: index });

/** The strict schema of a bundle, without the checks that involve several members. */
export const bundleSchema: z.ZodMiniType<Bundle> = z.strictObject({
  schema: z.literal(BUNDLE_SCHEMA),
  workload: z.strictObject({ namespace: string, kind: string, name: string }),
  relevantLabels: strings,
  variants: z.array(variant).check(z.minLength(1)),
  programs: z.array(program).check(z.minLength(1)),
  keySets: z.record(string, keySet),
});
