/*
 * The working copy of one request head. Policies evaluate the same object that the upstream gets, so the two cannot differ.
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

/** A normalized request head. Mutable: jwt_authn and ext_authz edit this one copy. */
export class PreparedRequest {
  method: string;
  /** `:authority`, with port as sent. */
  host: string;
  /** Normalized path with query; no fragment. */
  target: string;
  /** `http` or `https`, lower case; over HTTP/2 any scheme that the client sends. */
  scheme: string;
  /** Lower-case names; no Host, no hop-by-hop fields (except of an upgrade). */
  headers: MutableHeaderList;
  /** `remote.ip`: the last element of X-Forwarded-For if it is a bare IP address, else the peer's address. */
  remoteIp: string;
  /** `websocket` when the request asks for that upgrade, else `''`; without a route, any protocol that it asks for. */
  upgrade: string;
  /** False for a request that policies evaluate but no route of a sidecar matches: a CONNECT tunnel, and an empty X-Forwarded-Proto. */
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

  /** Values of every instance of a header in order; empty when absent. `name` in lower case; pseudo headers and `host` have a value too. */
  headerValues(name: string): readonly string[] {
    const values = headerValues(this.headers, name);
    if (values.length > 0) return values;
    const pseudo = FIELD_BY_PSEUDO_HEADER.get(name);
    return pseudo === undefined ? values : [this[pseudo]];
  }

  /** Value of the first instance of a header, not of a pseudo header; `undefined` when absent. `name` in lower case. */
  header(name: string): string | undefined {
    return firstHeader(this.headers, name);
  }

  /** Removes every instance of a header. `name` in lower case. */
  removeHeader(name: string): void {
    removeHeader(this.headers, name);
  }

  /** Adds an instance of a header at the end. `name` in lower case. */
  appendHeader(name: string, value: string): void {
    this.headers.push(name, value);
  }
}
