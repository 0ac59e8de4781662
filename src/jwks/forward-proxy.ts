/*
 * The forward proxy of key fetches, from the usual environment variables, with the rules of Go's net/http, which istiod follows. Credentials in the
 * URL of a proxy never appear in messages.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import ipaddr from 'ipaddr.js';
import { RefusedError } from '../errors.ts';
import { hostOf, portOf } from './url-parts.ts';

/** The proxy for a URL; undefined: it is fetched directly. */
export type ForwardProxies = (target: URL) => URL | undefined;

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy itself failed, not the server behind it. */
export class ProxyFailure extends Error {}

/**
 * `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in lower case, too; undefined: no proxy is named.
 * @throws RefusedError SP_CONFIG when one is not the URL of an HTTP proxy
 */
export function proxiesOfEnvironment(env: Environment): ForwardProxies | undefined {
  const https = proxyIn(env, 'HTTPS_PROXY');
  const http = proxyIn(env, 'HTTP_PROXY');
  if (https === undefined && http === undefined) return undefined;
  const isExcluded = exclusionsOf(valueIn(env, 'NO_PROXY'));
  return (target) => (isExcluded(target) ? undefined : target.protocol === 'https:' ? https : http);
}

function valueIn(env: Environment, name: string): string {
  return (env[name] ?? '').trim() || (env[name.toLowerCase()] ?? '').trim();
}

function proxyIn(env: Environment, name: string): URL | undefined {
  const value = valueIn(env, name);
  if (value === '') return undefined;
  const url = URL.parse(value.includes('://') ? value : `http://${value}`);
  if (url === null || url.hostname === '' || !/^https?:$/.test(url.protocol))
    throw new RefusedError('SP_CONFIG', `${name} is not the URL of an HTTP proxy, e.g. http://proxy.example:3128`);
  return url;
}

/** Is a URL fetched directly? Loopback always is. */
function exclusionsOf(noProxy: string): (target: URL) => boolean {
  const tests = noProxy
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .map((entry) => exclusionOf(entry.toLowerCase()));
  return (target) => {
    const host = hostOf(target).replace(/\.$/, '');
    const port = portOf(target);
    return host === 'localhost' || isLoopback(host) || tests.some((test) => test(host, port));
  };
}

function isLoopback(host: string): boolean {
  return isIP(host) !== 0 && ipaddr.process(host).range() === 'loopback';
}

/** An entry of NO_PROXY: `*`, a block of addresses, an address, a domain with its subdomains, or `.domain` for subdomains only; with a port or without. */
function exclusionOf(entry: string): (host: string, port: string) => boolean {
  if (entry === '*') return () => true;
  if (ipaddr.isValidCIDR(entry)) {
    const [network, bits] = ipaddr.parseCIDR(entry);
    return (host) => {
      const address = isIP(host) === 0 ? undefined : ipaddr.process(host);
      return address?.kind() === network.kind() && address.match(network, bits);
    };
  }
  const [, name = '', port = ''] = isIP(entry) === 0 ? (/^(.*?)(?::(\d+))?$/.exec(entry) ?? []) : ['', entry];
  const domain = name.replace(/^\[|\]$/g, '').replace(/^\*\./, '.');
  const matches = (host: string): boolean => {
    if (isIP(domain) !== 0) return isIP(host) !== 0 && ipaddr.process(host).toString() === ipaddr.process(domain).toString();
    return domain.startsWith('.') ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
  };
  return (host, targetPort) => (port === '' || port === targetPort) && matches(host);
}

/** How a request through a proxy is sent. */
export interface ProxiedRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** For the server. */
  readonly tls: Pick<ConnectionOptions, 'ca' | 'minVersion'>;
  /** For a proxy that speaks TLS itself. */
  readonly proxyTls: Pick<ConnectionOptions, 'ca' | 'minVersion'>;
}

/**
 * GET of `target` through `proxy`: the absolute URL over http, a tunnel (CONNECT) over https.
 * @throws ProxyFailure when the proxy cannot be reached or refuses; other errors are those of the server behind it
 */
export async function sendByProxy(proxy: URL, target: URL, options: ProxiedRequest): Promise<IncomingMessage> {
  return target.protocol === 'https:' ? await sendByTunnel(proxy, target, options) : await sendAbsolute(proxy, target, options);
}

function sendAbsolute(proxy: URL, target: URL, { headers, signal, proxyTls }: ProxiedRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = toProxy(proxy, proxyTls, {
      path: `${target.protocol}//${target.host}${target.pathname}${target.search}`,
      headers: { ...headers, host: target.host, ...credentialsOf(target, 'authorization'), ...credentialsOf(proxy, 'proxy-authorization') },
      signal,
    });
    request.on('error', (error) => reject(signal.aborted ? error : failure(proxy, codeOf(error))));
    request.on('response', (response) => {
      if (response.statusCode === 407) {
        response.destroy();
        reject(failure(proxy, 'status 407: it wants other credentials'));
      } else resolve(response);
    });
    request.end();
  });
}

async function sendByTunnel(proxy: URL, target: URL, options: ProxiedRequest): Promise<IncomingMessage> {
  const socket = await openTunnel(proxy, target, options);
  const host = hostOf(target);
  return await new Promise((resolve, reject) => {
    const request = httpsRequest(
      target,
      {
        headers: options.headers,
        signal: options.signal,
        defaultPort: 443,
        createConnection: () => connectTls({ ...options.tls, socket, host, servername: isIP(host) === 0 ? host : '' }),
      },
      resolve,
    );
    request.on('error', (error) => {
      socket.destroy();
      reject(error);
    });
    request.end();
  });
}

function openTunnel(proxy: URL, target: URL, { signal, proxyTls }: ProxiedRequest): Promise<Socket> {
  const authority = `${target.hostname}:${portOf(target)}`;
  return new Promise((resolve, reject) => {
    const request = toProxy(proxy, proxyTls, {
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...credentialsOf(proxy, 'proxy-authorization') },
      signal,
    });
    request.on('error', (error) => reject(signal.aborted ? error : failure(proxy, codeOf(error))));
    request.on('connect', (response, socket) => {
      if (response.statusCode === 200) {
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(failure(proxy, `status ${response.statusCode} to CONNECT ${authority}`));
    });
    request.end();
  });
}

function toProxy(proxy: URL, tls: ProxiedRequest['tls'], options: RequestOptions): ClientRequest {
  const own = { ...options, agent: false as const, host: hostOf(proxy), port: Number(portOf(proxy)) };
  return proxy.protocol === 'https:' ? httpsRequest({ ...own, ...tls }) : httpRequest(own);
}

function credentialsOf({ username, password }: URL, header: string): Record<string, string> {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { [header]: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function failure(proxy: URL, reason: string): ProxyFailure {
  return new ProxyFailure(`cannot be fetched: the proxy ${proxy.protocol}//${proxy.host} failed (${reason})`);
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : 'invalid response';
}
