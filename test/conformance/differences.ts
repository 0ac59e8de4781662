/*
 * The intended differences from the records. Decides which documented difference covers a differing field. Every name is a
 * heading of docs/differences.md, which a test checks. An entry depends on what was sent and configured and never on the name
 * of a case, so that it also covers cases that are not yet recorded. It must show that its reason is the cause of the difference: that
 * the reason is somewhere in the case is not enough. No entry covers a request that is allowed here and was not in the record.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JwtRule } from '../../src/api/istio/resources.ts';
import { OTHER_TARGET, oddAnswerOf, REPLACED } from './authorizer.ts';
import type { Observed, RecordedCase, RecordedRequest } from './case-file.ts';
import { compareOutcome, type FieldDifference, withoutDryRunPolicies } from './compare.ts';
import { decide } from './library.ts';
import { http1Text } from './read-request.ts';
import { isSignedBy, keysBeyondLimits, parseStrictly, symmetricKeys, tokensIn } from './sent-tokens.ts';

/** A request of a case with the actual outcome. */
export interface ReplayedRequest {
  readonly recorded: RecordedCase;
  readonly request: RecordedRequest;
  readonly ours: Observed;
}

/** An intended difference. `covers` decides which differences it explains, as narrowly as possible. */
export interface DocumentedDifference {
  readonly name: string;
  covers(replayed: ReplayedRequest, difference: FieldDifference): boolean;
}

/** Folded lines, a bare CR or LF, and whitespace in a request line where the grammar has none. */
const LOOSE_HEAD = /\r\n[ \t]|\r[^\n]|[^\r]\n|^(?:[^\r\n]*\t|[ \t]|[^ ]* {2}|[^ ]* [^ ]* {2}|[^\r\n]* \r\n)/;
/** Whitespace after a chunk size, or a bare LF after it. */
const LOOSE_CHUNKS = /\n[0-9a-f]+ +\r\n|[^\r]\n/i;
const FILTER_RESULTS = /^experimental\.envoy\.filters\.(http|network)\.(rbac|ext_authz)\[/;
const UNESCAPED = /[^\x21\x22\x24-\x7e]/g;

/** Bytes of a denial's body that the agent passes on. */
const LARGEST_DENIAL = 1 << 20;
/** What Envoy forwards after {@link OTHER_TARGET}, by field. */
const REPLACED_FIELDS: ReadonlyMap<string, string> = new Map(
  REPLACED.map(([name, value]) =>
    name === ':authority' ? ['upstream.headers.host', JSON.stringify([value])] : [`upstream.${name.slice(1)}`, value],
  ),
);

export const DOCUMENTED: readonly DocumentedDifference[] = [
  {
    name: 'http1-strict-syntax',
    covers: ({ request, ours }) => ours.status === 400 && request.http2 !== true && isLoose(request.raw ?? http1Text(request)),
  },
  {
    name: 'upgrade-with-body',
    covers: ({ request, ours }) =>
      ours.status === 400 && ours.details === 'upgrade_with_body' && asksForUpgrade(request) && hasBody(request),
  },
  {
    name: 'head-error-body',
    covers: ({ request }, { field, ours }) => field === 'body' && ours === '' && /^(\r\n)*HEAD /.test(request.raw ?? ''),
  },
  {
    name: 'close-after-unread-body',
    covers: ({ request, ours }, { field, recorded: theirs, ours: value }) =>
      field === 'headers.connection' && theirs === '(absent)' && value === 'close' && ours.outcome !== 'allow' && hasBody(request),
  },
  {
    name: 'query-rebuild-escapes',
    covers: (_, difference) => isEscapedQuery(difference),
  },
  {
    name: 'jwt-json-dialect',
    covers: ({ recorded, request, ours }) =>
      /^Jwt (?:header|payload) is an invalid JSON$/.test(ours.body ?? '')
        ? tokensIn(request).some(({ isStrictJson }) => !isStrictJson)
        : hasNoKey(ours) && keysOfTokens(recorded, request).some((text) => /^\s*\{/.test(text) && parseStrictly(text) === undefined),
  },
  {
    name: 'jwt-partly-accepted',
    covers: ({ recorded, request, ours }) =>
      isRefusedByJwt(ours) &&
      !isRefusedByJwt(request.observed) &&
      jwtRules(recorded).length > 1 &&
      sharedHeaders(jwtRules(recorded), request).some((name) => isEqualWithoutHeader(name, { recorded, request })),
  },
  {
    name: 'presence-required',
    covers: (replayed) => jwtRules(replayed.recorded).some(({ presence }) => presence === 'REQUIRED') && isEqualWithoutPresence(replayed),
  },
  {
    name: 'jwt-ecdsa-length',
    covers: ({ request, ours }) =>
      ours.body === 'Jwt verification fails' && tokensIn(request).some(({ alg, signature }) => isOddLength(alg, signature.length)),
  },
  {
    name: 'output-header-underscore',
    covers: ({ recorded, request }, { field, ours }) =>
      ours === '(absent)' && isLookAlike(field.replace(/^upstream\.headers\./, ''), recorded, request),
  },
  {
    name: 'output-header-reserved',
    covers: ({ recorded, request, ours }) =>
      (outputHeaders(recorded).some(isReserved) && refusesName(ours)) || (lacksHost(request.observed) && ours.details === HOST_REMOVED),
  },
  {
    name: 'jwks-symmetric-from-url',
    covers: ({ recorded, request, ours }) => {
      const fetched = Object.values(recorded.jwksServers ?? {});
      return hasNoKey(ours) && fetched.flatMap(symmetricKeys).some((key) => isSignedBy(request, key));
    },
  },
  {
    name: 'secrets-of-other-namespaces',
    covers: (replayed) =>
      (replayed.recorded.secretCheckHeaders === true && (replayed.ours.details ?? '').endsWith('-deny-due-to-bad-CUSTOM-action]')) ||
      (isRefusedByJwt(replayed.ours) && secretsOfOthers(replayed.recorded).length > 0 && isEqualWithSecrets(replayed)),
  },
  {
    name: 'jwks-limits',
    covers: ({ recorded, request, ours }) =>
      hasNoKey(ours) &&
      keyTexts(recorded)
        .flatMap(keysBeyondLimits)
        .some((key) => isSignedBy(request, key)),
  },
  {
    name: 'custom-unknown-service',
    covers: ({ request, ours }) =>
      ours.details === 'ext_authz_error' &&
      (request.observed?.details ?? '').startsWith('rbac_access_denied_matched_policy[istio-ext-authz-'),
  },
  {
    name: 'custom-reach-of-answers',
    covers: ({ request: { headers = [] }, ours }, { field, recorded }) =>
      ours.outcome === 'allow' && oddAnswerOf(headers.flat()) === OTHER_TARGET && REPLACED_FIELDS.get(field) === recorded,
  },
  {
    name: 'custom-denial-limit',
    covers: ({ request: { observed }, ours }, { field, ours: value }) =>
      ours.details === 'ext_authz_denied' &&
      ours.status === observed?.status &&
      (observed?.body ?? '').length > LARGEST_DENIAL &&
      ['body', 'headers.content-length', 'headers.content-type'].includes(field) &&
      ['', '0', '(absent)'].includes(value),
  },
  {
    name: 'metadata-of-filters',
    covers: ({ recorded, ours }, difference) =>
      decidingRules(recorded, ours, difference).some((rule) => textsOf(rule, /^key$/).some((key) => FILTER_RESULTS.test(key))),
  },
  {
    name: 'wire-framing-rewritten',
    covers: (_, { field, recorded, ours }) =>
      field === 'upstream.headers.content-length' &&
      /^\["0+\d+"\]$/.test(recorded) &&
      Number(valuesIn(recorded)[0]) === Number(valuesIn(ours)[0]),
  },
  {
    name: 'wire-upgrades',
    covers: ({ request }, { field, recorded, ours }) =>
      asksForUpgrade(request) &&
      ((field === 'upstream.headers.connection' && ours === '["upgrade"]' && namesUpgrade(valuesIn(recorded).join(','))) ||
        (field === 'upstream.headers.content-length' && recorded === '(absent)' && ours === '["0"]' && !hasBody(request))),
  },
  {
    name: 'values-not-admitted',
    covers: ({ recorded, ours }, difference) =>
      recorded.applyInvalid === true &&
      decidingRules(recorded, ours, difference).some((rule) => holdsOddTemplate(recorded, rule) || asksForPayload(rule)),
  },
];

/** Strings in all lists `name` of a rule. */
function textsOf(rule: unknown, name: RegExp): readonly string[] {
  const texts: string[] = [];
  JSON.stringify(rule, (member, value: unknown) => {
    if (name.test(member)) texts.push(...[value].flat().filter((item) => typeof item === 'string'));
    return value;
  });
  return texts;
}

/** Whether admission rejected a path template of the rule, which is active nevertheless. */
function holdsOddTemplate(recorded: RecordedCase, rule: unknown): boolean {
  return (
    textsOf(rule, /^(notP|p)aths$/).some((path) => /\{\*\*?\}/.test(path)) &&
    (recorded.istio.rejected ?? []).some(({ error }) => error.includes('invalid or unsupported path'))
  );
}

function asksForPayload(rule: unknown): boolean {
  return textsOf(rule, /^key$/).includes('request.auth.claims');
}

interface RecordedPolicy {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: { readonly action?: string; readonly rules?: readonly unknown[] };
}

/**
 * The rules that may have decided as `ours` says: the rule that denied, the ALLOW rules if none matched, the CUSTOM rules if a server
 * denied, the dry-run rules if a dry-run result differs. None if the request was not denied.
 */
function decidingRules({ resources }: RecordedCase, { outcome, details = '' }: Observed, { field }: FieldDifference): readonly unknown[] {
  const policies = (resources as readonly RecordedPolicy[]).filter(({ kind }) => kind === 'AuthorizationPolicy');
  const isDryRun = ({ metadata }: RecordedPolicy): boolean => metadata.annotations?.['istio.io/dry-run'] !== undefined;
  const rulesOf = (isWanted: (policy: RecordedPolicy) => boolean): readonly unknown[] =>
    policies.filter(isWanted).flatMap(({ spec }) => spec?.rules ?? []);
  // A request that is denied by one rule has no results of the dry-run rules after it.
  const dryRun = field.startsWith('dryRun.') ? rulesOf(isDryRun) : [];
  if (outcome !== 'deny') return dryRun;
  if (details.startsWith('ext_authz_')) return rulesOf(({ spec }) => spec?.action === 'CUSTOM');
  const [, namespace, name, index] = /ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]/.exec(details) ?? [];
  if (name === undefined) return rulesOf((policy) => (policy.spec?.action ?? 'ALLOW') === 'ALLOW' && !isDryRun(policy));
  const denying = policies.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  return [...dryRun, denying?.spec?.rules?.[Number(index)]];
}

/** Whether the request announces a body. */
function hasBody(request: RecordedRequest): boolean {
  const head = (request.raw ?? http1Text(request)).split('\r\n\r\n', 1)[0] ?? '';
  return /\r\n(?:content-length: *[1-9]|transfer-encoding:)/i.test(head);
}

/** Whether Connection and Upgrade of the request ask for an upgrade other than to h2c, which both ignore. */
function asksForUpgrade(request: RecordedRequest): boolean {
  const head = (request.raw ?? http1Text(request)).split('\r\n\r\n', 1)[0] ?? '';
  const values = (name: string): string =>
    [...head.matchAll(new RegExp(`\\r\\n${name}:([^\\r]*)`, 'gi'))].map(([, value = '']) => value).join(',');
  return namesUpgrade(values('connection')) && !['', 'h2c'].includes(values('upgrade').trim().toLowerCase());
}

/** Whether the members of Connection contain `upgrade`. */
function namesUpgrade(connection: string): boolean {
  return connection.split(',').some((member) => member.trim().toLowerCase() === 'upgrade');
}

function isUnauthenticated({ outcome }: Observed): boolean {
  return outcome === 'unauthenticated';
}

function jwtRules({ resources }: RecordedCase): readonly JwtRule[] {
  return resources.flatMap(({ kind, spec }) => (kind === 'RequestAuthentication' ? (spec?.jwtRules ?? []) : []));
}

/** Documents that contain keys or link to them. */
function keyTexts(recorded: RecordedCase): readonly string[] {
  const inline = jwtRules(recorded).flatMap(({ jwks = '' }) => (jwks === '' ? [] : [jwks]));
  return [...inline, ...Object.values(recorded.jwksServers ?? {})];
}

/** The key sets of the rules that a token in the request names as its issuer. */
function keysOfTokens(recorded: RecordedCase, request: RecordedRequest): readonly string[] {
  const issuers = new Set(tokensIn(request).map(({ issuer }) => issuer));
  const rules = jwtRules(recorded).filter(({ issuer = '' }) => issuer === '' || issuers.has(issuer));
  const inline = rules.flatMap(({ jwks = '' }) => (jwks === '' ? [] : [jwks]));
  return rules.some(({ jwks = '' }) => jwks === '') ? [...inline, ...Object.values(recorded.jwksServers ?? {})] : inline;
}

/** Whether no key of a key set fits the token. */
function hasNoKey({ outcome, body, headers }: Observed): boolean {
  const text = body ?? headers?.['grpc-message'] ?? '';
  return outcome === 'unauthenticated' && /^(Jwt verification fails|Jwks doesn't have key to match kid or alg from Jwt|)$/.test(text);
}

const DECISION = { framing: false, everyHeader: false };

/** Whether `decided` is what was recorded, but for the form of a query without its token. */
function isDecidedAsRecorded({ observed, isSeenOnTheWire }: RecordedRequest, decided: Observed): boolean {
  const seen = isSeenOnTheWire === true ? withoutDryRunPolicies(decided) : decided;
  return compareOutcome(observed ?? { outcome: 'allow' }, seen, DECISION).every(isEscapedQuery);
}

function isEscapedQuery({ field, recorded, ours }: FieldDifference): boolean {
  return field === 'upstream.path' && recorded !== ours && [recorded, bytesOf(recorded)].map(escaped).includes(ours);
}

/** Whether the same request under the same rules without `presence` is decided as Istio 1.31 decided it. */
function isEqualWithoutPresence({ recorded, request }: ReplayedRequest): boolean {
  const resources = recorded.resources.map((resource) => {
    const jwtRules = resource.spec?.jwtRules?.map((rule) => ({ ...rule, presence: 'OPTIONAL' as const }));
    return jwtRules === undefined ? resource : { ...resource, spec: { ...resource.spec, jwtRules } };
  });
  return isDecidedAsRecorded(request, decide({ ...recorded, resources }, request));
}

/** Symmetric inline keys of policies of other namespaces than the workload's. */
function secretsOfOthers({ workload, resources }: RecordedCase): readonly unknown[] {
  return resources
    .filter(({ metadata }) => metadata.namespace !== workload.namespace)
    .flatMap(({ spec }) => spec?.jwtRules ?? [])
    .flatMap(({ jwks = '' }) => symmetricKeys(jwks));
}

/** Whether the request is decided as Istio decided it if the bundle contains the secrets of other namespaces. */
function isEqualWithSecrets({ recorded, request }: ReplayedRequest): boolean {
  return isDecidedAsRecorded(request, decide(recorded, request, true));
}

/** The values of a header in the text of a difference. */
function valuesIn(text: string): readonly string[] {
  const values: unknown = parseStrictly(text);
  return Array.isArray(values) ? (values as readonly string[]) : [];
}

/** Names of output headers, in lower case. */
function outputHeaders(recorded: RecordedCase): readonly string[] {
  const names = jwtRules(recorded).flatMap(({ outputPayloadToHeader = '', outputClaimToHeaders = [] }) => [
    outputPayloadToHeader,
    ...outputClaimToHeaders.map(({ header }) => header),
  ]);
  return names.map((name) => name.toLowerCase());
}

function isReserved(name: string): boolean {
  return /^(:.*|host|content-length|transfer-encoding|connection|upgrade|te|trailer|keep-alive|proxy-connection)$/.test(name);
}

function refusesName({ details = '' }: Observed): boolean {
  return details.startsWith('filter_removed_required_request_headers{invalid_header_name:');
}

const HOST_REMOVED = 'filter_removed_required_request_headers{missing_required_header:_:authority}';

/** Whether Envoy removed Host, because it held a token or because only a token may set it, and forwarded the request without it. */
function lacksHost(observed: Observed | undefined): boolean {
  return observed?.upstream?.headers.some(([name]) => name === 'host') === false;
}

/** Whether jwt_authn rejected the request: 401, or 403 for an audience. */
function isRefusedByJwt(outcome: Observed | undefined): boolean {
  return outcome !== undefined && (isUnauthenticated(outcome) || outcome.details?.startsWith('jwt_authn_access_denied') === true);
}

/** Headers with two token locations, of one rule or of two, or that are sent twice: a valid token removes what is next to it. */
function sharedHeaders(rules: readonly JwtRule[], { headers = [] }: RecordedRequest): readonly string[] {
  const locations = [...new Set(rules.flatMap(headerLocations))];
  const nameOf = (location: string): string => location.slice(0, location.indexOf(':'));
  const isTwice = (name: string): boolean => headers.filter(([sent]) => sent.toLowerCase() === name).length > 1;
  const names = [...new Set(locations.map(nameOf))];
  return names.filter((name) => isTwice(name) || locations.filter((location) => nameOf(location) === name).length > 1);
}

/** Whether Envoy decided as if the request did not have this header, which it removed with its tokens. */
function isEqualWithoutHeader(name: string, { recorded, request }: Pick<ReplayedRequest, 'recorded' | 'request'>): boolean {
  const kept = (request.headers ?? []).filter(([sent]) => sent.toLowerCase() !== name);
  const without = decide(recorded, { ...request, headers: kept });
  return kept.length < (request.headers ?? []).length && isDecidedAsRecorded(request, without);
}

function headerLocations({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule): readonly string[] {
  if (fromHeaders.length + fromParams.length + fromCookies.length === 0) return ['authorization:Bearer '];
  return fromHeaders.map(({ name, prefix = '' }) => `${name.toLowerCase()}:${prefix}`);
}

function isLoose(text: string): boolean {
  const whole = text.replace(/^(\r\n)+/, '');
  const [head = ''] = whole.split(/\r\n\r\n|\n\n/, 1);
  return LOOSE_HEAD.test(`${head}\r\n`) || (/\r\ntransfer-encoding:/i.test(head) && LOOSE_CHUNKS.test(whole.slice(head.length)));
}

function bytesOf(path: string): string {
  return Buffer.from(path, 'utf8').toString('latin1');
}

function escaped(path: string): string {
  return path.replace(UNESCAPED, (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

const SIGNATURE_BYTES: Readonly<Record<string, number>> = { ES256: 64, ES384: 96, ES512: 132 };

function isOddLength(alg: string, signatureBytes: number): boolean {
  const wanted = SIGNATURE_BYTES[alg];
  return wanted !== undefined && wanted !== signatureBytes;
}

/** Whether the client sent `name`, which equals an output header except for `-` and `_`. */
function isLookAlike(name: string, recorded: RecordedCase, { headers = [] }: RecordedRequest): boolean {
  const folded = (text: string): string => text.toLowerCase().replaceAll('_', '-');
  const isSent = headers.some(([sent]) => sent.toLowerCase() === name);
  return isSent && outputHeaders(recorded).some((output) => folded(output) === folded(name) && output !== name);
}

/** Whether a request is allowed here that Istio and Envoy did not allow. No documented difference covers any part of it. */
export function isLooser({ request, ours }: ReplayedRequest): boolean {
  return ours.outcome === 'allow' && request.observed?.outcome !== 'allow';
}

/** Name of the difference of `documented` that covers `difference`; undefined: it is not documented. */
export function documentedName(
  replayed: ReplayedRequest,
  difference: FieldDifference,
  documented: readonly DocumentedDifference[] = DOCUMENTED,
): string | undefined {
  if (isLooser(replayed)) return undefined;
  return documented.find((entry) => entry.covers(replayed, difference))?.name;
}

/** Names that docs/differences.md explains: its second-level headings in code format. */
export function explainedNames(): ReadonlySet<string> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/differences.md'), 'utf8');
  return new Set([...page.matchAll(/^## `([a-z0-9-]+)`/gm)].map((match) => match[1] ?? ''));
}
