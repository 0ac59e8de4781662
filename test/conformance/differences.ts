/*
 * The intended differences from the records. Decides which documented difference covers a differing field. Every name is a
 * heading of docs/differences.md, which a test checks. An entry depends on what was sent and configured and never on the name
 * of a case, so that it also covers cases that are not yet recorded.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JwtRule } from '../../src/api/istio/resources.ts';
import type { Observed, RecordedCase, RecordedRequest } from './case-file.ts';
import type { FieldDifference } from './compare.ts';
import { http1Text } from './read-request.ts';
import { holdsUnusualKeys, parseStrictly, tokensIn } from './sent-tokens.ts';

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

export const DOCUMENTED: readonly DocumentedDifference[] = [
  {
    name: 'http1-strict-syntax',
    covers: ({ request, ours }) => ours.status === 400 && request.http2 !== true && isLoose(request.raw ?? http1Text(request)),
  },
  {
    name: 'head-error-body',
    covers: ({ request }, { field, ours }) => field === 'body' && ours === '' && /^(\r\n)*HEAD /.test(request.raw ?? ''),
  },
  {
    name: 'query-rebuild-escapes',
    covers: (_, { field, recorded, ours }) =>
      field === 'upstream.path' && recorded !== ours && [recorded, bytesOf(recorded)].map(escaped).includes(ours),
  },
  {
    name: 'jwt-json-dialect',
    covers: ({ recorded, request, ours }) =>
      /^Jwt (?:header|payload) is an invalid JSON$/.test(ours.body ?? '')
        ? tokensIn(request).some(({ isStrictJson }) => !isStrictJson)
        : isUnauthenticated(ours) && keyTexts(recorded).some((text) => /^\s*\{/.test(text) && parseStrictly(text) === undefined),
  },
  {
    name: 'jwt-partly-accepted',
    covers: ({ recorded, request, ours }) =>
      isRefusedByJwt(ours) &&
      !isRefusedByJwt(request.observed) &&
      jwtRules(recorded).length > 1 &&
      shareHeader(jwtRules(recorded), request),
  },
  {
    name: 'presence-required',
    covers: ({ recorded, ours }) => isUnauthenticated(ours) && jwtRules(recorded).some(({ presence }) => presence === 'REQUIRED'),
  },
  {
    name: 'jwt-ecdsa-length',
    covers: ({ request, ours }) =>
      ours.body === 'Jwt verification fails' && tokensIn(request).some(({ alg, signatureBytes }) => isOddLength(alg, signatureBytes)),
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
    covers: ({ recorded, ours }) =>
      isUnauthenticated(ours) && Object.values(recorded.jwksServers ?? {}).some((text) => /"kty"\s*:\s*"oct"/.test(text)),
  },
  {
    name: 'jwks-limits',
    covers: ({ recorded, ours }) => isUnauthenticated(ours) && keyTexts(recorded).some(holdsUnusualKeys),
  },
  {
    name: 'custom-unknown-service',
    covers: ({ request, ours }) =>
      ours.details === 'ext_authz_error' &&
      (request.observed?.details ?? '').startsWith('rbac_access_denied_matched_policy[istio-ext-authz-'),
  },
  {
    name: 'metadata-of-filters',
    covers: ({ recorded, ours }, difference) =>
      isStricter(ours, difference) && policyTexts(recorded, /^key$/).some((key) => FILTER_RESULTS.test(key)),
  },
  {
    name: 'values-not-admitted',
    covers: ({ recorded, ours }, difference) =>
      recorded.applyInvalid === true && isStricter(ours, difference) && (holdsOddTemplate(recorded) || asksForPayload(recorded)),
  },
];

/** Strings in all lists `name` of the rules of policies. */
function policyTexts({ resources }: RecordedCase, name: RegExp): readonly string[] {
  const texts: string[] = [];
  JSON.stringify(
    resources.map(({ spec }) => spec),
    (member, value: unknown) => {
      if (name.test(member)) texts.push(...[value].flat().filter((item) => typeof item === 'string'));
      return value;
    },
  );
  return texts;
}

/** Whether admission rejected a path template that is active nevertheless. */
function holdsOddTemplate(recorded: RecordedCase): boolean {
  return (
    policyTexts(recorded, /^(notP|p)aths$/).some((path) => /\{\*\*?\}/.test(path)) &&
    (recorded.istio.rejected ?? []).some(({ error }) => error.includes('invalid or unsupported path'))
  );
}

function asksForPayload(recorded: RecordedCase): boolean {
  return policyTexts(recorded, /^key$/).includes('request.auth.claims');
}

/** Whether the request is denied here, or has another dry-run result. */
function isStricter({ outcome }: Observed, { field }: FieldDifference): boolean {
  return outcome === 'deny' || field.startsWith('dryRun.');
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

/** Whether a header has two token locations, of one rule or of two, or is sent twice: a valid token removes what is next to it. */
function shareHeader(rules: readonly JwtRule[], { headers = [] }: RecordedRequest): boolean {
  const locations = new Set(rules.flatMap(headerLocations));
  const names = new Set([...locations].map((location) => location.slice(0, location.indexOf(':'))));
  const isTwice = (name: string): boolean => headers.filter(([sent]) => sent.toLowerCase() === name).length > 1;
  return names.size < locations.size || [...names].some(isTwice);
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

/** Name of the documented difference that covers `difference`; undefined: it is not documented. */
export function documentedName(replayed: ReplayedRequest, difference: FieldDifference): string | undefined {
  if (isLooser(replayed)) return undefined;
  return DOCUMENTED.find((entry) => entry.covers(replayed, difference))?.name;
}

/** Names that docs/differences.md explains: its second-level headings in code format. */
export function explainedNames(): ReadonlySet<string> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/differences.md'), 'utf8');
  return new Set([...page.matchAll(/^## `([a-z0-9-]+)`/gm)].map((match) => match[1] ?? ''));
}
