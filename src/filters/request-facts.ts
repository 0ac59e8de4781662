/*
 * Facts of a request or connection for the evaluator. In: a prepared request (or only a connection) and the verified
 * claims. Out: `RequestFacts`. Called by the judge once before CUSTOM and once after JWT.
 */

import type { PreparedRequest } from '../http/normalize/prepared-request.ts';
import type { ConnectionFacts, Json, RequestFacts } from '../policy/facts.ts';
import type { TokenNotes } from '../policy/token-notes.ts';

type Claims = { readonly [key: string]: Json };

/** A view: headers are read from the prepared request at the time of asking. */
class HttpFacts implements RequestFacts {
  readonly connection: ConnectionFacts;
  readonly method: string;
  readonly host: string;
  readonly pathWithQuery: string;
  readonly path: string;
  readonly remoteIp: string;
  readonly claims?: Claims;
  readonly notes?: TokenNotes;
  readonly #request: PreparedRequest;

  constructor(request: PreparedRequest, connection: ConnectionFacts, claims: Claims | undefined, notes: TokenNotes | undefined) {
    this.connection = connection;
    this.method = request.method;
    this.host = request.host;
    this.pathWithQuery = request.target;
    this.path = pathOf(request.target);
    this.remoteIp = request.remoteIp;
    if (claims !== undefined) this.claims = claims;
    if (notes !== undefined) this.notes = notes;
    this.#request = request;
  }

  headerValues(name: string): readonly string[] {
    return this.#request.headerValues(name);
  }

  get headerList(): readonly string[] {
    return this.#request.headers;
  }
}

/** The part of a request target that `paths` are compared with: all before the first `?` or `#`. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  const fragment = path.indexOf('#');
  return fragment === -1 ? path : path.slice(0, fragment);
}

/**
 * What policies see of a prepared request.
 * @param claims payload of the verified token with space-delimited claims split; absent: no verified token
 * @param notes on those claims, kept with the token; absent: nothing is remembered from one request to the next
 */
export function factsOf(request: PreparedRequest, connection: ConnectionFacts, claims?: Claims, notes?: TokenNotes): RequestFacts {
  return new HttpFacts(request, connection, claims, notes);
}

const NO_VALUES: readonly string[] = Object.freeze([]);

/** What policies see of a TCP connection: `remote.ip` is the peer's address, everything of HTTP is empty. */
export function connectionFacts(connection: ConnectionFacts): RequestFacts {
  return {
    connection,
    method: '',
    host: '',
    pathWithQuery: '',
    path: '',
    remoteIp: connection.sourceIp,
    headerValues: () => NO_VALUES,
    headerList: NO_VALUES,
  };
}
