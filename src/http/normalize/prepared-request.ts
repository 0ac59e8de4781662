/*
 * The working copy of one request head: what policies judge and what the upstream gets, in one object, so that the two
 * cannot differ. In: filled by `prepareRequest`. Out: edited by the jwt room and by external authorizers, read by
 * `factsOf` and by the proxy.
 */

const NONE: readonly string[] = Object.freeze([]);

const PSEUDO_HEADERS: ReadonlyMap<string, 'target' | 'method' | 'host' | 'scheme'> = new Map([
  [':path', 'target'],
  [':method', 'method'],
  [':authority', 'host'],
  ['host', 'host'],
  [':scheme', 'scheme'],
]);

/** Does a request answer for this name without a header of it? `name` in lower case. */
export function isPseudoHeader(name: string): boolean {
  return PSEUDO_HEADERS.has(name);
}

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
  headers: string[];
  /** remote.ip: last X-Forwarded-For element if it is a bare IP, else the peer's address. */
  remoteIp: string;
  /** `websocket` when the request asks for it, else `''`; without a route whatever it asks for. */
  upgrade: string;
  /** False for what is judged like any request, and yet no route of a sidecar takes: a tunnel, and a request of no known protocol. */
  hasRoute: boolean;

  constructor(method: string, headers: string[]) {
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
    const headers = this.headers;
    let first: string | undefined;
    let all: string[] | undefined;
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i] !== name) continue;
      const value = headers[i + 1] as string;
      if (first === undefined) first = value;
      else if (all === undefined) all = [first, value];
      else all.push(value);
    }
    if (all !== undefined) return all;
    if (first !== undefined) return [first];
    const pseudo = PSEUDO_HEADERS.get(name);
    return pseudo === undefined ? NONE : [this[pseudo]];
  }

  /** First instance of a header, or `undefined`; regular headers only, `name` in lower case. */
  header(name: string): string | undefined {
    const headers = this.headers;
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i] === name) return headers[i + 1];
    }
    return undefined;
  }

  /** Removes every instance of a regular header. `name` in lower case. */
  removeHeader(name: string): void {
    const headers = this.headers;
    let kept = 0;
    for (let i = 0; i < headers.length; i += 2) {
      const current = headers[i] as string;
      if (current === name) continue;
      headers[kept] = current;
      headers[kept + 1] = headers[i + 1] as string;
      kept += 2;
    }
    headers.length = kept;
  }

  /** Adds one more instance at the end. `name` in lower case. */
  appendHeader(name: string, value: string): void {
    this.headers.push(name, value);
  }
}
