/*
 * One GET request with limits, to a URL that the author of a policy chose. It uses `node:http(s)` instead of fetch, because the address
 * that is actually dialled must be checked for every redirect. Error messages contain no body, query or credentials.
 */
import { lookup as systemLookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { TransientError } from '../errors.ts';
import type { AddressGuard } from './address-guard.ts';
import { type ForwardProxies, ProxyFailure, sendByProxy } from './forward-proxy.ts';

/** Content codings that are asked for. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};
const HEADERS = { accept: 'application/json', 'accept-encoding': Object.keys(DECODERS).join(', '), 'user-agent': 'sallyport' };
const MAX_CODINGS = 2;
/** The certificate is not signed by an authority that is trusted here. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Resolves a host name to all of its addresses. */
export type ResolveHost = (hostname: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** The limits of one fetch. */
export interface FetchLimits {
  /** Which addresses must not be dialled. */
  readonly guard: AddressGuard;
  /** Largest body in bytes. */
  readonly maxBytes: number;
  readonly maxRedirects: number;
  /** All trusted certificate authorities in PEM; absent: those of Node.js. */
  readonly trustedCa?: readonly string[];
  /** Absent: the system resolver. */
  readonly resolveHost?: ResolveHost;
  /** Absent: every URL is fetched directly. */
  readonly proxyOf?: ForwardProxies;
}

/** The response of a successful fetch. */
export interface FetchedDocument {
  /** The body, decoded as UTF-8. */
  readonly text: string;
  /** The URL after redirects. */
  readonly url: string;
  /** The max-age of Cache-Control, 0 for no-store and no-cache; `undefined`: it has none. */
  readonly maxAgeSeconds: number | undefined;
}

/**
 * Fetches `url` until `signal` aborts.
 *
 * @throws TransientError SP_JWKS_FETCH on every failure
 */
export async function fetchDocument(url: string, limits: FetchLimits, signal: AbortSignal): Promise<FetchedDocument> {
  let target = parseTarget(url, undefined);
  for (let hop = 0; hop <= limits.maxRedirects; hop += 1) {
    const response = await send(target, limits, signal);
    const status = response.statusCode ?? 0;
    const location = response.headers.location;
    if (status >= 300 && status < 400 && location !== undefined) {
      response.destroy();
      target = parseTarget(location, target);
      continue;
    }
    if (status < 200 || status > 299) {
      response.destroy();
      throw failure(target, `responded with status ${status}`);
    }
    const text = await readBody(response, { target, maxBytes: limits.maxBytes }, signal);
    return { text, url: target.href, maxAgeSeconds: maxAgeOf(response.headers['cache-control']) };
  }
  throw failure(parseTarget(url, undefined), `more than ${limits.maxRedirects} redirects`);
}

/** The URL in a form that messages may contain: without credentials and query. */
export function displayUrl(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? 'an invalid URL' : `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

function parseTarget(url: string, base: URL | undefined): URL {
  const parsed = URL.parse(url, base?.href);
  if (parsed === null) throw new TransientError('SP_JWKS_FETCH', 'not a URL');
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw failure(parsed, 'is neither http nor https');
  // Keys that were requested over TLS must not be transferred in clear text.
  if (base?.protocol === 'https:' && parsed.protocol === 'http:') throw failure(base, 'redirects from https to http');
  return parsed;
}

function send(target: URL, limits: FetchLimits, signal: AbortSignal): Promise<IncomingMessage> {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const literal = isIP(host) === 0 ? undefined : limits.guard(host);
  if (literal !== undefined) return Promise.reject(failure(target, `its address is ${literal} and must not be dialled`));
  const tls = { minVersion: 'TLSv1.2', ...(limits.trustedCa === undefined ? {} : { ca: [...limits.trustedCa] }) } as const;
  const proxy = limits.proxyOf?.(target);
  // The proxy resolves the name of the host: its addresses are not known here.
  if (proxy !== undefined)
    return sendByProxy(proxy, target, { headers: HEADERS, signal, tls }).catch((error: unknown) => {
      throw asFailure(target, error, signal);
    });
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(asFailure(target, error, signal));
    const options = {
      agent: false as const,
      lookup: guardedLookup(target, limits),
      signal,
      headers: HEADERS,
    };
    const request =
      target.protocol === 'https:' ? httpsRequest(target, { ...options, ...tls }, resolve) : httpRequest(target, options, resolve);
    request.on('error', fail);
    request.on('socket', (socket) => {
      socket.on('connect', () => {
        const reason = limits.guard(socket.remoteAddress ?? '');
        if (reason !== undefined) request.destroy(failure(target, `its address is ${reason} and must not be dialled`));
      });
    });
    request.end();
  });
}

function guardedLookup(target: URL, limits: FetchLimits): LookupFunction {
  const resolveHost = limits.resolveHost ?? resolveBySystem;
  return (hostname, options, callback) => {
    resolveHost(hostname).then(
      (found) => {
        const allowed = found.filter((entry) => limits.guard(entry.address) === undefined);
        const [first] = allowed;
        if (first === undefined) callback(failure(target, blockedReason(found, limits.guard)), '', 0);
        else if (options.all === true) callback(null, [...allowed]);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), '', 0),
    );
  };
}

function blockedReason(found: readonly { readonly address: string }[], guard: AddressGuard): string {
  const [first] = found;
  return first === undefined ? 'its host has no address' : `its address is ${guard(first.address)} and must not be dialled`;
}

function resolveBySystem(hostname: string): ReturnType<ResolveHost> {
  return new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) => (error === null ? resolve(addresses) : reject(error)));
  });
}

async function readBody(
  response: IncomingMessage,
  { target, maxBytes }: { readonly target: URL; readonly maxBytes: number },
  signal: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of decoded(response, target)) {
      size += chunk.length;
      if (size > maxBytes) throw failure(target, `responded with more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw asFailure(target, error, signal);
  } finally {
    response.destroy();
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The body without its content codings. The limit of its size counts afterwards: a small body may unpack to a large one. */
function decoded(response: IncomingMessage, target: URL): AsyncIterable<Buffer> {
  const codings = (response.headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim());
  const applied = codings.filter((coding) => coding !== '' && coding !== 'identity').toReversed();
  if (applied.length > MAX_CODINGS) throw failure(target, `responds with ${applied.length} content codings`);
  let body: Readable = response;
  for (const coding of applied) {
    const decoder = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
    if (decoder === undefined) throw failure(target, `responds in the coding ${coding}, which was not asked for`);
    const unpacked = decoder();
    pipeline(body, unpacked, () => undefined);
    body = unpacked;
  }
  return body;
}

function maxAgeOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const directives = header.toLowerCase().split(',');
  if (directives.some((directive) => /^\s*(no-store|no-cache)\s*(=|$)/.test(directive))) return 0;
  for (const directive of directives) {
    const found = /^\s*max-age\s*=\s*"?(\d{1,10})"?\s*$/.exec(directive);
    if (found !== null) return Number(found[1]);
  }
  return undefined;
}

function asFailure(target: URL, error: unknown, signal: AbortSignal): TransientError {
  if (error instanceof TransientError) return error;
  if (error instanceof ProxyFailure) return failure(target, error.message);
  if (signal.aborted || (error instanceof Error && error.name === 'AbortError')) return failure(target, 'did not respond in time');
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'invalid response';
  // The message of Node.js advises one of its command-line flags.
  if (UNTRUSTED.has(code))
    return failure(target, `has a certificate that is not trusted (${code}): name its authority in jwks.caFile (chart: jwks.caConfigMap)`);
  return failure(target, `cannot be fetched (${code})`, error);
}

function failure(target: URL, reason: string, cause?: unknown): TransientError {
  return new TransientError('SP_JWKS_FETCH', `${displayUrl(target.href)} ${reason}`, { cause });
}
