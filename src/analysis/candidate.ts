/*
 * A candidate request: values for attributes, and the facts that a policy engine reads from them.
 */
import type { Claims, ConnectionFacts, Json, RequestFacts } from '../policy/facts.ts';
import { type AttributeKey, type ClaimKey, changedHeaderOf, claimOfKey, isClaimKey, sentHeaderOf } from './attribute-key.ts';
import type { AttributeValue } from './solve-attribute.ts';
import type { View } from './view.ts';

/** Values by attribute; absent: the default. */
export type Values = ReadonlyMap<AttributeKey, AttributeValue>;

/** Client address of a request that names none: an address for documentation, which no network has (RFC 5737). */
const SOURCE_IP = '192.0.2.1';
/** Address of the pod in a candidate that names none. */
export const DESTINATION_IP = '192.0.2.77';
const PORT = 80;

/** A request for people and for the real filter chain: what it has besides defaults. */
export interface WitnessRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  /** Absent: that of the connection. */
  readonly scheme?: string;
  /** Absent: any. */
  readonly host?: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly sourceIp?: string;
  /** The last address in X-Forwarded-For; absent: the header is not needed. */
  readonly forwardedFor?: string;
  readonly destinationIp?: string;
  readonly port?: number;
  readonly sni?: string;
  /** Identities in the client's certificate; empty: no mTLS. */
  readonly peers: readonly string[];
}

function textOf(values: Values, key: AttributeKey, missing: string): string {
  const value = values.get(key);
  return typeof value === 'string' ? value : missing;
}

/** The texts of an attribute; empty: it has none. */
export function listOf(values: Values, key: AttributeKey): readonly string[] {
  const value = values.get(key);
  return Array.isArray(value) ? (value as readonly string[]) : typeof value === 'string' ? [value] : [];
}

/** The headers that the client sends, without tokens, in order. */
function sentHeaders(values: Values): readonly (readonly [string, string])[] {
  return [...values.keys()].flatMap((key) => {
    const name = sentHeaderOf(key);
    return name === undefined ? [] : listOf(values, key).map((value) => [name, value] as const);
  });
}

/** The headers that a filter with this view finds, in order. */
function seenHeaders(values: Values, view: View): readonly (readonly [string, string])[] {
  return [...values.keys()].flatMap((key) => {
    const name = sentHeaderOf(key) ?? changedHeaderOf(key);
    return name === undefined || view.keyOf(name) !== key ? [] : listOf(values, key).map((value) => [name, value] as const);
  });
}

/** The candidate without defaults. */
export function requestOf(values: Values): WitnessRequest {
  const own = (key: 'host' | 'scheme' | 'sourceIp' | 'destinationIp' | 'sni'): object => {
    const value = values.get(key);
    return typeof value === 'string' ? { [key]: value } : {};
  };
  const [remoteIp, port] = [values.get('remoteIp'), values.get('port')];
  return {
    method: textOf(values, 'method', 'GET'),
    path: textOf(values, 'path', '/'),
    headers: sentHeaders(values),
    peers: listOf(values, 'peer'),
    ...own('host'),
    ...own('scheme'),
    ...own('sourceIp'),
    ...own('destinationIp'),
    ...own('sni'),
    ...(typeof remoteIp === 'string' && remoteIp !== textOf(values, 'sourceIp', SOURCE_IP) ? { forwardedFor: remoteIp } : {}),
    ...(typeof port === 'number' ? { port } : {}),
  };
}

function connectionOf(values: Values): ConnectionFacts {
  const uris = listOf(values, 'peer');
  const [subject] = uris;
  const port = values.get('port');
  return {
    sourceIp: textOf(values, 'sourceIp', SOURCE_IP),
    destinationIp: textOf(values, 'destinationIp', DESTINATION_IP),
    destinationPort: typeof port === 'number' ? port : PORT,
    sni: textOf(values, 'sni', ''),
    tls: uris.length > 0,
    // An identity, too: the subject must not be a value that the search does not know of.
    ...(subject === undefined ? {} : { peer: { uris, dnsNames: [], subject } }),
  };
}

/** The claims of one token of the candidate: a string where one value is enough, otherwise an array. */
export function claimsOf(values: Values, slotOf: View['slotOf']): Claims {
  let claims: Claims = {};
  for (const key of values.keys()) {
    if (!isClaimKey(key)) continue;
    const found = claimOfKey(key);
    const all = listOf(values, key);
    if (found.slot === slotOf(found.path[0] ?? '') && all.length > 0)
      claims = withClaim(claims, found.path, all.length === 1 ? (all[0] as string) : all);
  }
  return claims;
}

function withClaim(claims: Claims, [name = '', ...rest]: readonly string[], value: Json): Claims {
  // A computed member sets own properties only, `__proto__` included.
  if (rest.length === 0) return { ...claims, [name]: value };
  const inner = Object.hasOwn(claims, name) ? claims[name] : undefined;
  const object = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as Claims) : {};
  return { ...claims, [name]: withClaim(object, rest, value) };
}

/** Keys of claims of which one would have to be both a value and an object. */
export function clashingClaims(values: Values): readonly [ClaimKey, ClaimKey] | undefined {
  const keys = [...values.keys()].filter((key): key is ClaimKey => isClaimKey(key) && listOf(values, key).length > 0);
  for (const outer of keys) {
    const start = outer.slice(0, -1);
    const inner = keys.find((key) => key !== outer && key.startsWith(`${start},`));
    if (inner !== undefined) return [outer, inner];
  }
  return undefined;
}

const NO_VALUES: readonly string[] = [];

/** The facts that a filter with this view reads. */
export function factsOf(values: Values, view: View, protocol: 'http' | 'tcp'): RequestFacts {
  const connection = connectionOf(values);
  if (protocol === 'tcp') return { ...EMPTY_FACTS, connection, remoteIp: connection.sourceIp };
  const headers = seenHeaders(values, view);
  const target = textOf(values, 'path', '/');
  const [method, host] = [textOf(values, 'method', 'GET'), textOf(values, 'host', 'x')];
  const pseudo = { path: target, method, host, scheme: textOf(values, 'scheme', connection.tls ? 'https' : 'http') } as const;
  return {
    connection,
    method,
    host,
    path: pathOf(target),
    pathWithQuery: target,
    remoteIp: textOf(values, 'remoteIp', connection.sourceIp),
    headerList: headers.flat(),
    headerValues: (name) => {
      const key = view.keyOf(name);
      if (key === 'path' || key === 'method' || key === 'host' || key === 'scheme') return [pseudo[key]];
      return key === undefined ? NO_VALUES : listOf(values, key);
    },
    ...(view.slot === undefined ? {} : { claims: claimsOf(values, view.slotOf) }),
  };
}

/** The part of a target that `paths` match. */
function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/** What the engine sees of a TCP connection besides its addresses. */
export const EMPTY_FACTS: RequestFacts = {
  connection: { sourceIp: SOURCE_IP, destinationIp: DESTINATION_IP, destinationPort: PORT, sni: '', tls: false },
  method: '',
  host: '',
  pathWithQuery: '',
  path: '',
  remoteIp: SOURCE_IP,
  headerValues: () => NO_VALUES,
  headerList: NO_VALUES,
};
