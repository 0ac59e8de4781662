/*
 * How keys are fetched from single servers: the operator's settings with what their references hold. A setting that cannot be read refuses
 * every fetch from its server: without its authorities or credentials, the response could be that of another one.
 */
import { X509Certificate } from 'node:crypto';
import type { KeyServer, ValueSource } from '../api/key-servers.ts';
import { RefusedError } from '../errors.ts';

/** Settings of one server. */
export interface ServerSettings {
  /** Certificate authorities in PEM, in place of all others; absent: as for every server. */
  readonly authorities?: readonly string[];
  /** Absent: as the environment says. */
  readonly proxy?: URL;
  /** Deadline of a fetch; absent: that of the JWT rule. */
  readonly timeoutMs?: number;
  /** Names in lower case; secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Nothing may be fetched, because a reference cannot be used. */
  readonly isBroken: boolean;
}

/** The settings for a URL; undefined: it has none. */
export type ServerOf = (target: URL) => ServerSettings | undefined;

/** What a reference holds, or why that is not known: a sentence fragment such as `Secret "idp" does not exist`. */
export type ReferenceValue = { readonly value: string } | { readonly problem: string };

/** All settings of servers, resolved. */
export interface ResolvedServers {
  readonly serverOf: ServerOf;
  /** What cannot be used, each with the path of the setting; never a value. */
  readonly problems: readonly string[];
  /** Equal for equal settings; secret. */
  readonly state: string;
}

interface Entry {
  readonly origin: string;
  /** Without a slash at the end. */
  readonly path: string;
  readonly settings: ServerSettings;
}

const MAX_HEADER_BYTES = 8 * 1024;
/** Visible ASCII, with spaces and tabs inside. */
const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/;
const MAX_AUTHORITIES = 200;
const PEM_BEGIN = '-----BEGIN CERTIFICATE-----';
const PEM_END = '-----END CERTIFICATE-----';
/** A server may decode these to a separator, and then serve another path than the one that is compared here. */
const HIDDEN_SEPARATOR = /%2f|%5c/i;

/** Resolves settings; `read` returns what a reference holds now. */
export function resolveServers(servers: readonly KeyServer[], read: (source: ValueSource) => ReferenceValue): ResolvedServers {
  const problems: string[] = [];
  const entries = servers.map((server, at) => {
    const found: string[] = [];
    const settings = settingsOf(server, { read, report: (path, problem) => found.push(`jwks.servers.${at}.${path}: ${problem}`) });
    problems.push(...found);
    const { origin, pathname } = new URL(server.url);
    return { origin, path: pathname.replace(/\/$/, ''), settings: { ...settings, isBroken: found.length > 0 } };
  });
  const longestFirst = entries.toSorted((one, other) => other.path.length - one.path.length);
  return {
    problems,
    state: JSON.stringify([servers.map(({ url }) => url), entries]),
    serverOf: (target) => longestFirst.find((entry) => isBelow(target, entry))?.settings,
  };
}

/**
 * Settings without references, for a process without an API server.
 * @throws RefusedError SP_CONFIG that names what cannot be used
 */
export function staticServers(servers: readonly KeyServer[]): ServerOf {
  const { serverOf, problems } = resolveServers(servers, () => ({ problem: 'Secrets and ConfigMaps are read in a cluster only' }));
  if (problems.length > 0) throw new RefusedError('SP_CONFIG', problems.join('; '));
  return serverOf;
}

function isBelow({ origin, pathname }: URL, entry: Entry): boolean {
  if (origin !== entry.origin) return false;
  if (entry.path === '') return true;
  return (pathname === entry.path || pathname.startsWith(`${entry.path}/`)) && !HIDDEN_SEPARATOR.test(pathname);
}

interface Resolving {
  readonly read: (source: ValueSource) => ReferenceValue;
  readonly report: (path: string, problem: string) => void;
}

function settingsOf(server: KeyServer, resolving: Resolving): Omit<ServerSettings, 'isBroken'> {
  const { timeout } = server;
  const authorities = valueOf({ path: 'caBundle', value: server.caBundle, from: server.caBundleFrom, parse: certificatesIn }, resolving);
  const proxy = valueOf({ path: 'proxy', value: server.proxy, from: server.proxyFrom, parse: proxyIn }, resolving);
  const headers: Record<string, string> = {};
  for (const [at, { name, valueFrom }] of (server.headers ?? []).entries()) {
    const value = valueOf({ path: `headers.${at}.value`, value: undefined, from: valueFrom, parse: headerIn }, resolving);
    if (value !== undefined) headers[name.toLowerCase()] = value;
  }
  return {
    ...(authorities === undefined ? {} : { authorities }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    headers,
  };
}

interface Setting<T> {
  readonly path: string;
  readonly value: string | undefined;
  readonly from: ValueSource | undefined;
  /** A string: why the text cannot be used, without its value. */
  readonly parse: (text: string) => { readonly parsed: T } | string;
}

function valueOf<T>({ path, value, from, parse }: Setting<T>, { read, report }: Resolving): T | undefined {
  if (value === undefined && from === undefined) return undefined;
  const where = value === undefined ? `${path}From` : path;
  const found = value === undefined ? read(from ?? {}) : { value };
  if ('problem' in found) {
    report(where, found.problem);
    return undefined;
  }
  const result = parse(found.value);
  if (typeof result !== 'string') return result.parsed;
  report(where, value === undefined ? `${referenceText(from ?? {})} ${result}` : result);
  return undefined;
}

/** A reference in messages: `key "token" of Secret "idp"`. */
export function referenceText({ secretKeyRef, configMapKeyRef }: ValueSource): string {
  const { name = '', key = '' } = secretKeyRef ?? configMapKeyRef ?? {};
  return `key "${key}" of ${secretKeyRef === undefined ? 'ConfigMap' : 'Secret'} "${name}"`;
}

function certificatesIn(pem: string): { readonly parsed: readonly string[] } | string {
  const blocks = pem.split(PEM_END).slice(0, -1);
  if (blocks.length === 0) return 'contains no certificate in PEM';
  if (blocks.length > MAX_AUTHORITIES) return `contains more than ${MAX_AUTHORITIES} certificates`;
  const parsed: string[] = [];
  for (const [at, block] of blocks.entries()) {
    const begin = block.lastIndexOf(PEM_BEGIN);
    try {
      if (begin < 0) throw new TypeError('no first line');
      parsed.push(new X509Certificate(`${block.slice(begin)}${PEM_END}\n`).toString());
    } catch {
      return `contains an invalid certificate (number ${at + 1})`;
    }
  }
  return { parsed };
}

function proxyIn(text: string): { readonly parsed: URL } | string {
  const parsed = URL.parse(text.trim());
  const isProxy = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.hostname !== '' && isDecodable(parsed);
  return isProxy ? { parsed } : 'is not the URL of an HTTP proxy, e.g. http://proxy.example:3128';
}

function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username);
    decodeURIComponent(password);
    return true;
  } catch {
    // The caller names the setting.
    return false;
  }
}

/** Secrets that were made from files often end with a line break. */
function headerIn(text: string): { readonly parsed: string } | string {
  const value = text.trim();
  if (value.length > MAX_HEADER_BYTES) return `has more than ${MAX_HEADER_BYTES} bytes`;
  return HEADER_VALUE.test(value) ? { parsed: value } : 'is not the value of a header: visible ASCII on one line';
}
