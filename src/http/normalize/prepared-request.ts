/*
 * The working copy of one request head: what policies judge and what the upstream gets, in one object, so that the two
 * cannot differ. In: filled by `prepareRequest`. Out: edited by the jwt room and by external authorizers, read by
 * `factsOf` and by the proxy.
 */
import type { PseudoHeader } from '../../policy/pseudo-headers.ts';
import { firstHeader, headerValues, type MutableHeaderList, removeHeader } from '../header-list.ts';

const FIELD_BY_PSEUDO_HEADER: ReadonlyMap<string, 'target' | 'method' | 'host' | 'scheme'> = new Map<
  PseudoHeader,
  'target' | 'method' | 'host' | 'scheme'
>([
  [':path', 'target'],
  [':method', 'method'],
  [':authority', 'host'],
  ['host', 'host'],
  [':scheme', 'scheme'],
]);

/** A request head after Envoy's own clean-up. Mutable: every later step edits this one copy. */
export class PreparedRequest {
  method: string;
  /** `:authority`, with port as sent. */
  host: string;
  /** Normalised path with query; no fragment. */
  target: string;
  /** `http` or `https` (HTTP/2 may bring others), lower case. */
  scheme: string;
  /** Flat: name, value, name, value …; names in lower case; no Host, no hop-by-hop fields (except of an upgrade). */
  headers: MutableHeaderList;
  /** remote.ip: last X-Forwarded-For element if it is a bare IP, else the peer's address. */
  remoteIp: string;
  /** `websocket` when the request asks for it, else `''`; without a route whatever it asks for. */
  upgrade: string;
  /** False for what is judged like any request, and yet no route of a sidecar takes: a tunnel, and a request of no known protocol. */
  hasRoute: boolean;

  constructor(method: string, headers: MutableHeaderList) {
    this.method = method;
    this.host = '';
    this.target = '';
    this.scheme = '';
    this.headers = headers;
    this.remoteIp = '';
    this.upgrade = '';
    this.hasRoute = true;
  }

  /** Every instance of a header in order; a shared empty list when absent. `name` in lower case; pseudo headers and `host` are answered too. */
  headerValues(name: string): readonly string[] {
    const values = headerValues(this.headers, name);
    if (values.length > 0) return values;
    const pseudo = FIELD_BY_PSEUDO_HEADER.get(name);
    return pseudo === undefined ? values : [this[pseudo]];
  }

  /** First instance of a header, or `undefined`; regular headers only, `name` in lower case. */
  header(name: string): string | undefined {
    return firstHeader(this.headers, name);
  }

  /** Removes every instance of a regular header. `name` in lower case. */
  removeHeader(name: string): void {
    removeHeader(this.headers, name);
  }

  /** Adds one more instance at the end. `name` in lower case. */
  appendHeader(name: string, value: string): void {
    this.headers.push(name, value);
  }
}
