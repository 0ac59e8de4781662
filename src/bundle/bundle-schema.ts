/*
 * The shape of a bundle as a zod/mini schema, strict at every level: a member, clause attribute or matcher kind that this
 * version does not know refuses the whole bundle, because leaving it out could only widen or empty a policy. Called by decode.
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

const text = z.string();
const texts = z.array(text);
const textMap = z.record(text, text);
const ipBlock = text.check(z.refine((value) => parseIpBlock(value) !== undefined));
const template = text.check(z.refine((value) => parsePathTemplate(value) !== undefined));
const index = z.int().check(z.minimum(0));

/** Optional lists that are never empty: an empty one would mean "no constraint" to one reader and "never" to another. */
function lists<M>(element: z.ZodMiniType<M>): {
  anyOf: z.ZodMiniOptional<z.ZodMiniArray<z.ZodMiniType<M>>>;
  noneOf: z.ZodMiniOptional<z.ZodMiniArray<z.ZodMiniType<M>>>;
} {
  const list = z.array(element).check(z.minLength(1));
  return { anyOf: z.optional(list), noneOf: z.optional(list) };
}

const stringMatch: z.ZodMiniType<StringMatch> = z.union([
  z.strictObject({ kind: z.enum(['exact', 'prefix', 'suffix']), value: text }),
  z.strictObject({ kind: z.literal('present') }),
]);
const pathMatch: z.ZodMiniType<PathMatch> = z.union([
  z.strictObject({ kind: z.enum(['exact', 'prefix', 'suffix']), value: text }),
  z.strictObject({ kind: z.literal('template'), value: template }),
  z.strictObject({ kind: z.literal('present') }),
]) as z.ZodMiniType<PathMatch>;
const identityMatch: z.ZodMiniType<IdentityMatch> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(['exact', 'prefix', 'suffix', 'spiffeSuffix']), value: text }),
  z.strictObject({ kind: z.literal('present') }),
  z.strictObject({ kind: z.literal('namespace'), pattern: text }),
  z.strictObject({ kind: z.literal('serviceAccount'), namespace: text, name: text }),
  z.strictObject({ kind: z.literal('trustDomain'), prefix: text, suffix: text }),
]) as z.ZodMiniType<IdentityMatch>;
const claimPath = texts.check(z.minLength(1));

const clause: z.ZodMiniType<Clause> = z.discriminatedUnion('attribute', [
  z.strictObject({ attribute: z.enum(['host', 'method', 'sni']), field: text, ...lists(stringMatch) }),
  z.strictObject({ attribute: z.literal('path'), field: text, ...lists(pathMatch) }),
  z.strictObject({ attribute: z.literal('header'), field: text, name: text, ...lists(stringMatch) }),
  z.strictObject({ attribute: z.enum(['sourceIp', 'remoteIp', 'destinationIp']), field: text, ...lists<string>(ipBlock) }),
  z.strictObject({ attribute: z.literal('destinationPort'), field: text, ...lists<number>(index) }),
  z.strictObject({ attribute: z.literal('peer'), field: text, ...lists(identityMatch) }),
  z.strictObject({
    attribute: z.literal('requestPrincipal'),
    field: text,
    ...lists(z.strictObject({ iss: stringMatch, sub: stringMatch })),
  }),
  z.strictObject({ attribute: z.literal('claim'), field: text, path: claimPath, ...lists(stringMatch) }),
  z.strictObject({
    attribute: z.literal('metadata'),
    field: text,
    filter: text,
    path: claimPath,
    list: z.boolean(),
    ...lists(stringMatch),
  }),
]) as z.ZodMiniType<Clause>;

const provenance = z.strictObject({
  kind: z.enum(['RequestAuthentication', 'AuthorizationPolicy']),
  namespace: text,
  name: text,
  generation: index,
  rule: index,
});
const clauses = z.array(clause);
const entries = z.array(clauses).check(z.minLength(1));
const rule: z.ZodMiniType<Rule> = z.strictObject({ id: text, source: provenance, from: entries, to: entries, when: clauses });
const engine: z.ZodMiniType<Engine> = z.strictObject({ attached: z.boolean(), rules: z.array(rule) });

const extensionProvider: z.ZodMiniType<ExtensionProvider> = z.strictObject({
  name: text,
  protocol: z.enum(['http', 'grpc']),
  service: text,
  port: index,
  timeoutMs: z.number(),
  failOpen: z.boolean(),
  statusOnError: index,
  pathPrefix: z.optional(text),
  includeRequestHeadersInCheck: z.optional(texts),
  includeAdditionalHeadersInCheck: z.optional(textMap),
  includeRequestBodyInCheck: z.optional(
    z.strictObject({ maxRequestBytes: index, allowPartialMessage: z.boolean(), packAsBytes: z.boolean() }),
  ),
  headersToUpstreamOnAllow: z.optional(texts),
  headersToDownstreamOnAllow: z.optional(texts),
  headersToDownstreamOnDeny: z.optional(texts),
}) as z.ZodMiniType<ExtensionProvider>;
const customStep: z.ZodMiniType<CustomStep> = z
  .strictObject({ name: text, provider: z.optional(extensionProvider), refusal: z.optional(text), rules: z.array(rule) })
  .check(
    z.refine((step) => (step.provider === undefined) !== (step.refusal === undefined), 'exactly one of provider and refusal'),
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
  name: text,
  source: provenance,
  issuer: text,
  audiences: texts,
  headers: z.array(z.strictObject({ name: text, prefix: text })),
  params: texts,
  cookies: texts,
  forward: z.boolean(),
  payloadHeader: text,
  claimHeaders: z.array(z.strictObject({ header: text, claim: text })),
  spaceDelimitedClaims: texts,
  keySet: text,
  required: z.boolean(),
});

const program: z.ZodMiniType<Program> = z.strictObject({
  pathNormalization: z.enum(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']),
  trustedProxies: z.array(ipBlock),
  providers: z.array(jwtProvider),
  http: ruleset,
  tcp: ruleset,
});

const keySet: z.ZodMiniType<KeySet> = z.strictObject({ source: text, keys: z.array(textMap).check(z.minLength(1)) });
const variant: z.ZodMiniType<Variant> = z.strictObject({ labels: textMap, program: index });

/** Strict schema of a decoded bundle, without the checks that span several members. */
export const bundleSchema: z.ZodMiniType<Bundle> = z.strictObject({
  schema: z.literal(BUNDLE_SCHEMA),
  workload: z.strictObject({ namespace: text, name: text }),
  relevantLabels: texts,
  variants: z.array(variant).check(z.minLength(1)),
  programs: z.array(program).check(z.minLength(1)),
  keySets: z.record(text, keySet),
});
