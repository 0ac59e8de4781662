/*
 * The differences from the records that are meant. In: a case, a request and a field that differs. Out: the name of the
 * documented difference it falls under. Every name here is a heading of docs/differences.md, and a test sees to that.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordedCase, RecordedJwtRule, RecordedRequest } from './case-file.ts';
import type { FieldDifference } from './compare.ts';
import { http1Text } from './read-request.ts';

/** A difference that is meant. `covers` says which recorded differences it explains. */
export interface DocumentedDifference {
  readonly name: string;
  covers(recorded: RecordedCase, request: RecordedRequest | undefined, difference: FieldDifference): boolean;
}

/** Folded lines, a bare CR or LF, and blanks in a request line where the grammar has none. */
const LOOSE_HEAD = /\r\n[ \t]|\r[^\n]|[^\r]\n|^(?:[^\r\n]*\t|[ \t]|[^ ]* {2}|[^ ]* [^ ]* {2}|[^\r\n]* \r\n)/;

/** The request is refused here before anything is known of it; only then does its whole record count as explained. */
function isLoose(_recorded: RecordedCase, request: RecordedRequest | undefined, { field, ours }: FieldDifference): boolean {
  if (request === undefined || request.http2 === true) return false;
  const [head = ''] = (request.raw ?? http1Text(request)).replace(/^(\r\n)+/, '').split(/\r\n\r\n|\n\n/, 1);
  return LOOSE_HEAD.test(`${head}\r\n`) && (field !== 'status' || ours === '400');
}

/** Characters that Envoy writes raw when it rebuilds a query. */
const REBUILT = /%(?:20|0[0-9A-F]|1[0-9A-F]|23|7F|[89A-F][0-9A-F])/g;

function jwtRulesOf({ resources }: RecordedCase): readonly RecordedJwtRule[] {
  return resources.flatMap(({ kind, spec }) => (kind === 'RequestAuthentication' ? (spec?.jwtRules ?? []) : []));
}

function hasTwins(names: readonly string[]): boolean {
  return new Set(names.map((name) => name.toLowerCase())).size < names.length;
}

/** Several rules, and one that finds two tokens in one header: a part of what it finds may be good, and the rest not. */
function mayBePartlyAccepted(recorded: RecordedCase, request: RecordedRequest | undefined, { field, ours }: FieldDifference): boolean {
  if (request === undefined || (field === 'outcome' && ours !== 'unauthenticated')) return false;
  const rules = jwtRulesOf(recorded);
  const twins = rules.some(({ fromHeaders = [] }) => hasTwins(fromHeaders.map(({ name }) => name)));
  return rules.length > 1 && (twins || hasTwins((request.headers ?? []).map(([name]) => name)));
}

/** A header of the request that only differs from an output header by `_` for `-`. */
function isOutputTwin(recorded: RecordedCase, _request: RecordedRequest | undefined, { field, ours }: FieldDifference): boolean {
  const name = /^upstream\.headers\.(.*_.*)$/.exec(field)?.[1]?.replaceAll('_', '-');
  const outputs = jwtRulesOf(recorded).flatMap(({ outputPayloadToHeader = '', outputClaimToHeaders = [] }) => [
    outputPayloadToHeader,
    ...outputClaimToHeaders.map(({ header }) => header),
  ]);
  return ours === '(absent)' && outputs.some((output) => output.toLowerCase().replaceAll('_', '-') === name);
}

/** Each entry explains as little as it can: a whole request only where the request never is one. */
export const DOCUMENTED: readonly DocumentedDifference[] = [
  { name: 'http1-strict-syntax', covers: isLoose },
  {
    name: 'query-rebuild-escapes',
    covers: (_recorded, _request, { field, recorded, ours }) =>
      field === 'upstream.path' &&
      ours.replace(REBUILT, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16))) === recorded,
  },
  { name: 'jwt-partly-accepted', covers: mayBePartlyAccepted },
  { name: 'output-header-underscore', covers: isOutputTwin },
  {
    name: 'custom-cookies',
    covers: (_recorded, request, { field, recorded, ours }) =>
      field.endsWith('headers.x-ext-authz-check-received') &&
      (request?.headers ?? []).filter(([name]) => name.toLowerCase() === 'cookie').length > 1 &&
      ours.replace(/cookie=[^\]]*/, (cookies) => cookies.replaceAll('; ', ',')) ===
        recorded.replace(/cookie=[^\]]*/, (cookies) => cookies.replaceAll('; ', ',')),
  },
  {
    name: 'custom-unknown-service',
    covers: (recorded, request, { field, ours }) =>
      recorded.file === 'builder_file_custom-bad-no-such-service' &&
      request?.name === '/httpbin1' &&
      ((field === 'details' && ours === 'ext_authz_error') || field === 'body' || field === 'headers.content-type'),
  },
];

/** The name of the documented difference that `difference` is an instance of; `undefined`: it is a fault. */
export function documentedName(
  recorded: RecordedCase,
  request: RecordedRequest | undefined,
  difference: FieldDifference,
): string | undefined {
  return DOCUMENTED.find((entry) => entry.covers(recorded, request, difference))?.name;
}

/** The names that docs/differences.md explains: its second-level headings in code type. */
export function explainedNames(): ReadonlySet<string> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/differences.md'), 'utf8');
  return new Set([...page.matchAll(/^## `([a-z0-9-]+)`/gm)].map((match) => match[1] ?? ''));
}
