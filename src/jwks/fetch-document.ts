/*
 * One GET request with limits, to a URL that the author of a policy chose. It uses `node:http(s)` instead of fetch, because the address
 * that is actually dialled must be checked for every redirect. Error messages contain no body, query or credentials.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { AddressGuard, AddressGuards } from './address-guard.ts';
import { displayUrl, FetchFailure, type FetchTrail } from './fetch-failure.ts';
import { type ForwardProxies, ProxyFailure, sendByProxy } from './forward-proxy.ts';
import { type HostAddress, type ResolveHost, resolveBySystem } from './resolve-host.ts';
import type { ServerOf, ServerSettings } from './server-settings.ts';
import { hostOf } from './url-parts.ts';

/** Content codings that are asked for. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};
const HEADERS = { accept: 'application/json', 'accept-encoding': Object.keys(DECODERS).join(', '), 'user-agent': 'sallyport' };
const MAX_CODINGS = 2;
const MAX_HEADER_BYTES = 16 * 1024;
/** Addresses of one host that are tried. */
const MAX_ADDRESSES = 8;
/** Many clusters behind a proxy cannot resolve the names of the internet. */
const PROXIED_LOOKUP_MS = 500;
/** The certificate is not signed by an authority that is trusted here. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const ADVICE = 'name its authority in jwks.caFile (chart: jwks.caConfigMap) or jwks.servers';

/** The limits of all fetches. */
export interface FetchLimits {
  /** Which addresses policies of a namespace may name. */
  readonly guards: AddressGuards;
  /** Largest body in bytes. */
  readonly maxBytes: number;
  readonly maxRedirects: number;
  /** All trusted certificate authorities in PEM; absent: those of Node.js. */
  readonly trustedCa?: readonly string[];
  /** Absent: the system resolver. */
  readonly resolveHost?: ResolveHost;
  /** Absent: every URL is fetched directly. */
  readonly proxyOf?: ForwardProxies;
  /** Settings of single servers; absent: none has any. */
  readonly serverOf?: ServerOf;
}

/** One fetch of a source, which may take several requests. */
export interface FetchContext {
  readonly limits: FetchLimits;
  readonly guard: AddressGuard;
  readonly trail: FetchTrail;
  /** Aborts at the deadline. */
  readonly signal: AbortSignal;
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
 * Fetches `url`.
 *
 * @throws FetchFailure on every failure
 */
export async function fetchDocument(url: string, context: FetchContext): Promise<FetchedDocument> {
  const { limits } = context;
  let target = parseTarget(url, undefined, context);
  // What another server names must not be requested with the credentials of the first one, also not back there.
  let isFirstServer = true;
  for (let hop = 0; hop <= limits.maxRedirects; hop += 1) {
    const response = await send(target, { context, isFirstServer });
    const status = response.statusCode ?? 0;
    const location = response.headers.location;
    if (status >= 300 && status < 400 && location !== undefined) {
      response.destroy();
      const next = parseTarget(location, target, context);
      isFirstServer &&= next.origin === target.origin;
      target = next;
      continue;
    }
    if (status < 200 || status > 299) {
      response.destroy();
      throw failure(target, context, `responded with status ${status}`);
    }
    const text = await readBody(response, target, context);
    return { text, url: target.href, maxAgeSeconds: maxAgeOf(response.headers['cache-control']) };
  }
  throw failure(parseTarget(url, undefined, context), context, `more than ${limits.maxRedirects} redirects`);
}

function parseTarget(url: string, base: URL | undefined, context: FetchContext): URL {
  const parsed = URL.parse(url, base?.href);
  if (parsed === null) throw new FetchFailure('not a URL', context);
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw failure(parsed, context, 'is neither http nor https');
  // Keys that were requested over TLS must not be transferred in clear text.
  if (base?.protocol === 'https:' && parsed.protocol === 'http:') throw failure(base, context, 'redirects from https to http');
  return parsed;
}

interface SendOptions {
  readonly context: FetchContext;
  /** No redirect has led to another server yet. */
  readonly isFirstServer: boolean;
}

async function send(target: URL, { context, isFirstServer }: SendOptions): Promise<IncomingMessage> {
  const { limits, guard, signal } = context;
  const server = limits.serverOf?.(target);
  const headers = headersFor(target, server, { context, isFirstServer });
  const authorities = server?.authorities ?? limits.trustedCa;
  const tls = { minVersion: 'TLSv1.2', ...(authorities === undefined ? {} : { ca: [...authorities] }) } as const;
  const proxy = server?.proxy ?? limits.proxyOf?.(target);
  if (proxy !== undefined) {
    await checkBehindProxy(target, context);
    // Authorities of a server are not those of the proxy in front of it.
    const proxyTls = { minVersion: 'TLSv1.2', ...(limits.trustedCa === undefined ? {} : { ca: [...limits.trustedCa] }) } as const;
    return await sendByProxy(proxy, target, { headers, signal, tls, proxyTls }).catch((error: unknown) => {
      throw asFailure(target, error, context);
    });
  }
  const addresses = await dialledAddresses(target, context);
  return await new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(asFailure(target, error, context));
    const options = {
      agent: false as const,
      lookup: lookupIn(addresses),
      signal,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers,
    };
    const request =
      target.protocol === 'https:' ? httpsRequest(target, { ...options, ...tls }, resolve) : httpRequest(target, options, resolve);
    request.on('error', fail);
    request.on('socket', (socket) => {
      socket.on('connect', () => {
        const reason = guard.refusalOf(socket.remoteAddress ?? '');
        if (reason !== undefined) request.destroy(forbidden(target, context, reason));
      });
    });
    request.end();
  });
}

/** The headers of a request, those of the operator's settings among them. */
function headersFor(target: URL, server: ServerSettings | undefined, { context, isFirstServer }: SendOptions): Record<string, string> {
  if (server === undefined) return HEADERS;
  if (server.isBroken) throw failure(target, context, 'is not fetched: its settings in jwks.servers cannot be used');
  if (!isFirstServer || target.protocol !== 'https:' || Object.keys(server.headers).length === 0) return HEADERS;
  // Otherwise the author of a policy could learn what the server says to the operator's credentials.
  context.trail.hide();
  return { ...HEADERS, ...server.headers };
}

/** The addresses of a URL's host that may be dialled; at least one. They are dialled as found here: a second lookup could differ. */
async function dialledAddresses(target: URL, context: FetchContext): Promise<readonly HostAddress[]> {
  refuseLiteral(target, context);
  const found = await addressesOf(target, context).catch((error: unknown) => {
    throw asFailure(target, error, context);
  });
  return allowedOf(found, target, context);
}

/**
 * Refuses what would be refused without the proxy. It resolves the name of the host itself, so no address need be known here: then the host
 * counts as internal, because the proxy may reach anything.
 */
async function checkBehindProxy(target: URL, context: FetchContext): Promise<void> {
  refuseLiteral(target, context);
  const { signal } = context;
  let found: readonly HostAddress[] = [];
  try {
    found = await addressesOf(target, { ...context, signal: AbortSignal.any([signal, AbortSignal.timeout(PROXIED_LOOKUP_MS)]) });
  } catch (error) {
    if (signal.aborted) throw asFailure(target, error, context);
  }
  if (found.length > 0) allowedOf(found, target, context);
}

/** Nothing has been dialled or looked up yet: if it is the policy's own URL, its author may know. */
function refuseLiteral(target: URL, context: FetchContext): void {
  const host = hostOf(target);
  const reason = isIP(host) === 0 ? undefined : context.guard.refusalOf(host);
  if (reason !== undefined) throw forbidden(target, context, reason);
}

async function addressesOf(target: URL, { limits, trail, signal }: FetchContext): Promise<readonly HostAddress[]> {
  const host = hostOf(target);
  const family = isIP(host);
  if (family !== 0) return await trail.visit(() => Promise.resolve([{ address: host, family }]));
  return await trail.visit(() => (limits.resolveHost ?? resolveBySystem)(host, signal));
}

function allowedOf(found: readonly HostAddress[], target: URL, context: FetchContext): readonly HostAddress[] {
  const allowed = found.filter(({ address }) => context.guard.refusalOf(address) === undefined);
  const [first] = found;
  if (first === undefined) throw failure(target, context, 'cannot be fetched: its host has no address');
  if (allowed.length === 0) throw forbidden(target, context, context.guard.refusalOf(first.address) ?? '');
  return allowed.slice(0, MAX_ADDRESSES);
}

function forbidden(target: URL, context: FetchContext, reason: string): FetchFailure {
  return failure(target, context, `cannot be fetched: its address is ${reason} and must not be dialled`);
}

function lookupIn(addresses: readonly HostAddress[]): LookupFunction {
  return (_hostname, options, callback) => {
    const [first] = addresses;
    if (options.all === true) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
}

async function readBody(response: IncomingMessage, target: URL, context: FetchContext): Promise<string> {
  const { maxBytes } = context.limits;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of decoded(response, target, context)) {
      size += chunk.length;
      if (size > maxBytes) throw failure(target, context, `responded with more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw asFailure(target, error, context);
  } finally {
    response.destroy();
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The body without its content codings. The limit of its size counts afterwards: a small body may unpack to a large one. */
function decoded(response: IncomingMessage, target: URL, context: FetchContext): AsyncIterable<Buffer> {
  const codings = (response.headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim());
  const applied = codings.filter((coding) => coding !== '' && coding !== 'identity').toReversed();
  if (applied.length > MAX_CODINGS) throw failure(target, context, `responds with ${applied.length} content codings`);
  let body: Readable = response;
  for (const coding of applied) {
    const decoder = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
    if (decoder === undefined)
      throw failure(target, context, `responds in the coding ${JSON.stringify(coding.slice(0, 20))}, which was not asked for`);
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

function asFailure(target: URL, error: unknown, context: FetchContext): FetchFailure {
  if (error instanceof FetchFailure) return error;
  if (error instanceof ProxyFailure) return failure(target, context, error.message);
  if (context.signal.aborted || (error instanceof Error && error.name === 'AbortError'))
    return failure(target, context, 'did not respond in time');
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'invalid response';
  // The message of Node.js advises one of its command-line flags.
  if (UNTRUSTED.has(code)) {
    const hasOwn = context.limits.serverOf?.(target)?.authorities !== undefined;
    const advice = hasOwn ? 'its caBundle in jwks.servers does not name its authority' : ADVICE;
    return failure(target, context, `has a certificate that is not trusted (${code}): ${advice}`);
  }
  return failure(target, context, `cannot be fetched (${code})`, error);
}

function failure(target: URL, { trail }: FetchContext, reason: string, cause?: unknown): FetchFailure {
  return new FetchFailure(`${displayUrl(target.href)} ${reason}`, { trail, cause });
}
