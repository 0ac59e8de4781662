/*
 * The working copy of one request head. Policies evaluate the same object that the upstream gets, so the two cannot differ.
 */
import type { PseudoHeader } from '../../policy/pseudo-headers.ts';
import { firstHeader, headerValues, type MutableHeaderList, removeHeader } from '../header-list.ts';

type PseudoField = 'target' | 'method' | 'host' | 'scheme';

const FIELD_BY_PSEUDO_HEADER: ReadonlyMap<string, PseudoField> = new Map<PseudoHeader, PseudoField>([
  [':path', 'target'],
  [':method', 'method'],
  [':authority', 'host'],
  ['host', 'host'],
  [':scheme', 'scheme'],
]);

const NONE: readonly PseudoField[] = Object.freeze([]);

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
  /** The request is a gRPC call by the content type that the client sent, whatever ext_authz or a token writes into it later. */
  isGrpc: boolean;
  /** The fields whose pseudo headers jwt_authn removed; they are `''`, and policies see no value. */
  removed: readonly PseudoField[];
  /** A filter rewrote the query of `target`, which may then contain bytes that a request line must not. */
  isRewritten: boolean;
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
    this.isGrpc = false;
    this.removed = NONE;
    this.isRewritten = false;
    this.hasRoute = true;
  }

  /** Values of every instance of a header in order; empty when absent. `name` in lower case; pseudo headers and `host` have a value too. */
  headerValues(name: string): readonly string[] {
    const values = headerValues(this.headers, name);
    if (values.length > 0) return values;
    const pseudo = FIELD_BY_PSEUDO_HEADER.get(name);
    return pseudo === undefined || this.removed.includes(pseudo) ? values : [this[pseudo]];
  }

  /** Value of the first instance of a header, not of a pseudo header; `undefined` when absent. `name` in lower case. */
  header(name: string): string | undefined {
    return firstHeader(this.headers, name);
  }

  /** Removes every instance of a header. `name` in lower case. */
  removeHeader(name: string): void {
    removeHeader(this.headers, name);
  }

  /** Removes a pseudo header, or Host. */
  removePseudoHeader(name: PseudoHeader): void {
    const field = FIELD_BY_PSEUDO_HEADER.get(name) as PseudoField;
    this[field] = '';
    this.removed = [...this.removed, field];
  }

  /** Adds an instance of a header at the end. `name` in lower case. */
  appendHeader(name: string, value: string): void {
    this.headers.push(name, value);
  }
}
