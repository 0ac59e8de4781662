/*
 * One bounded GET. In: a URL that a policy's author chose, and limits. Out: the body's text and how long it may be kept.
 * On `node:http(s)` rather than fetch, because the address that is really dialled must be checked at every hop. Called by
 * `fetch-keys`; messages never hold a body, a query or credentials.
 */
import { lookup as systemLookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { TransientError } from '../errors.ts';
import type { AddressGuard } from './address-guard.ts';

/** Resolves a host name to every address it has. */
export type ResolveHost = (hostname: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export interface FetchLimits {
  readonly guard: AddressGuard;
  /** Largest body in bytes. */
  readonly maxBytes: number;
  readonly maxRedirects: number;
  /** PEM of every trusted certificate authority; absent: the usual ones. */
  readonly trustedCa?: readonly string[];
  /** Absent: the system's resolver. */
  readonly resolveHost?: ResolveHost;
}

export interface FetchedDocument {
  readonly text: string;
  /** Where it came from after redirects. */
  readonly url: string;
  /** Seconds that Cache-Control allows; undefined when it says nothing. */
  readonly maxAgeSeconds: number | undefined;
}

/**
 * Fetches `url`; the deadline is `signal`.
 *
 * @throws TransientError SP_JWKS_FETCH for everything that goes wrong
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
      throw failure(target, `answered ${status}`);
    }
    const text = await readBody(response, { target, maxBytes: limits.maxBytes }, signal);
    return { text, url: target.href, maxAgeSeconds: maxAgeOf(response.headers['cache-control']) };
  }
  throw failure(parseTarget(url, undefined), `more than ${limits.maxRedirects} redirects`);
}

/** A URL as a message may show it: no credentials, no query. */
export function displayUrl(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? 'an unreadable URL' : `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

function parseTarget(url: string, base: URL | undefined): URL {
  const parsed = URL.parse(url, base?.href);
  if (parsed === null) throw new TransientError('SP_JWKS_FETCH', 'not a URL');
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw failure(parsed, 'is neither http nor https');
  // Keys that were asked for over TLS must not arrive in the clear.
  if (base?.protocol === 'https:' && parsed.protocol === 'http:') throw failure(base, 'redirects from https to http');
  return parsed;
}

function send(target: URL, limits: FetchLimits, signal: AbortSignal): Promise<IncomingMessage> {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const literal = isIP(host) === 0 ? undefined : limits.guard(host);
  if (literal !== undefined) return Promise.reject(failure(target, `its address is ${literal} and never dialled`));
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(asFailure(target, error, signal));
    const options = {
      agent: false as const,
      lookup: guardedLookup(target, limits),
      signal,
      headers: { accept: 'application/json', 'user-agent': 'sallyport' },
    };
    const request =
      target.protocol === 'https:'
        ? httpsRequest(
            target,
            { ...options, minVersion: 'TLSv1.2', ...(limits.trustedCa === undefined ? {} : { ca: [...limits.trustedCa] }) },
            resolve,
          )
        : httpRequest(target, options, resolve);
    request.on('error', fail);
    request.on('socket', (socket) => {
      socket.on('connect', () => {
        const reason = limits.guard(socket.remoteAddress ?? '');
        if (reason !== undefined) request.destroy(failure(target, `its address is ${reason} and never dialled`));
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
  return first === undefined ? 'its host has no address' : `its address is ${guard(first.address)} and never dialled`;
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
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw failure(target, `answers with more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw asFailure(target, error, signal);
  } finally {
    response.destroy();
  }
  return Buffer.concat(chunks).toString('utf8');
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
  if (signal.aborted || (error instanceof Error && error.name === 'AbortError')) return failure(target, 'did not answer in time');
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'broken answer';
  return failure(target, `cannot be fetched (${code})`, error);
}

function failure(target: URL, reason: string, cause?: unknown): TransientError {
  return new TransientError('SP_JWKS_FETCH', `${displayUrl(target.href)} ${reason}`, { cause });
}
