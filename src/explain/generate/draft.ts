/*
 * A request while it is being generated: the values of its parts, the facts that a clause reads from them, and the finished request.
 */
import type { Claims, RequestFacts } from '../../policy/facts.ts';
import { type ClauseTest, compileClause } from '../../policy/match/compile-clause.ts';
import type { Clause } from '../../policy/model/program.ts';
import { FORWARDED_FOR, type PartKey, type PartValue } from './clause-values.ts';
import type { GeneratedRequest, GeneratedToken } from './generated-request.ts';

/** Values of parts other than claims. */
export type Draft = ReadonlyMap<PartKey, PartValue>;

/** A clause that the request has to meet, or has to miss. */
export interface Constraint {
  readonly clause: Clause;
  /** Whether the clause has to hold. */
  readonly holds: boolean;
}

/** As the command line assumes them. */
const DEFAULTS = { method: 'GET', path: '/', host: 'x1', sourceIp: '192.0.2.1', port: 80 };
const HEADER = 'header ';

const testByClause = new WeakMap<Clause, ClauseTest>();

/** Whether a request with these facts meets the constraint. */
export function meets({ clause, holds }: Constraint, facts: RequestFacts, claims: Claims | undefined): boolean {
  const known = testByClause.get(clause);
  const test = known ?? compileClause(clause);
  if (known === undefined) testByClause.set(clause, test);
  return test(facts, claims) === holds;
}

/** The facts of a request with these values before normalization; absent parts have their defaults. */
export function factsOfDraft(draft: Draft): RequestFacts {
  const text = (key: PartKey, missing: string): string => String(draft.get(key) ?? missing);
  const [method, path, host] = [text('method', DEFAULTS.method), text('path', DEFAULTS.path), text('host', DEFAULTS.host)];
  const sourceIp = text('sourceIp', DEFAULTS.sourceIp);
  const headers = headersOf(draft);
  const peer = draft.get('peer');
  const pseudo: Readonly<Record<string, string>> = { ':path': path, ':method': method, ':authority': host, host, ':scheme': 'http' };
  return {
    connection: {
      sourceIp,
      destinationIp: text('destinationIp', ''),
      destinationPort: Number(draft.get('port') ?? DEFAULTS.port),
      sni: text('sni', ''),
      tls: peer !== undefined,
      ...(peer === undefined ? {} : { peer: { uris: [String(peer)], dnsNames: [], subject: '' } }),
    },
    method,
    host,
    path: path.replace(/[?#].*$/s, ''),
    pathWithQuery: path,
    remoteIp: text(FORWARDED_FOR, sourceIp),
    headerValues: (name) => {
      const value = pseudo[name];
      return value === undefined ? headers.flatMap(([header, one]) => (header === name ? [one] : [])) : [value];
    },
    headerList: headers.flat(),
  };
}

function headersOf(draft: Draft): readonly (readonly [string, string])[] {
  return [...draft].flatMap(([key, value]) =>
    key.startsWith(HEADER) && value !== undefined ? [[key.slice(HEADER.length), String(value)] as const] : [],
  );
}

/** The finished request. */
export function requestOfDraft(draft: Draft, tokens: readonly GeneratedToken[]): GeneratedRequest {
  const optional = <K extends 'host' | 'sourceIp' | 'destinationIp' | 'port' | 'peer' | 'sni'>(key: K): object => {
    const value = draft.get(key);
    return value === undefined ? {} : { [key]: value };
  };
  return {
    method: String(draft.get('method') ?? DEFAULTS.method),
    path: String(draft.get('path') ?? DEFAULTS.path),
    headers: headersOf(draft),
    ...optional('host'),
    ...optional('sourceIp'),
    ...optional('destinationIp'),
    ...optional('port'),
    ...optional('peer'),
    ...optional('sni'),
    ...(tokens.length === 0 ? {} : { tokens }),
  };
}
