/*
 * Facts of a request or connection for the evaluator.
 */

import type { PreparedRequest } from '../http/normalize/prepared-request.ts';
import type { ConnectionFacts, Json, RequestFacts } from '../policy/facts.ts';
import type { TokenNotes } from '../policy/token-notes.ts';

type Claims = { readonly [key: string]: Json };

/** Reads headers from the prepared request when they are asked for. */
class HttpFacts implements RequestFacts {
  readonly connection: ConnectionFacts;
  readonly method: string;
  readonly host: string | undefined;
  readonly pathWithQuery: string;
  readonly path: string;
  readonly remoteIp: string;
  readonly claims?: Claims;
  readonly notes?: TokenNotes;
  readonly #request: PreparedRequest;

  constructor(request: PreparedRequest, connection: ConnectionFacts, claims: Claims | undefined, notes: TokenNotes | undefined) {
    this.connection = connection;
    this.method = request.method;
    this.host = request.removed.length === 0 ? request.host : hostOf(request);
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

/** Host of a request that lost pseudo headers; a token may have set another one. */
function hostOf(request: PreparedRequest): string | undefined {
  return request.header('host') ?? request.headerValues(':authority')[0];
}

/** The part of a request target that `paths` match: everything before the first `?` or `#`. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  const fragment = path.indexOf('#');
  return fragment === -1 ? path : path.slice(0, fragment);
}

/**
 * The facts of a normalized request.
 * @param claims payload of the verified token with space-delimited claims split; absent: no verified token
 * @param notes the evaluator's cache for those claims; absent: nothing is cached between requests
 */
export function factsOf(request: PreparedRequest, connection: ConnectionFacts, claims?: Claims, notes?: TokenNotes): RequestFacts {
  return new HttpFacts(request, connection, claims, notes);
}

const NO_VALUES: readonly string[] = Object.freeze([]);

/** The facts of a TCP connection: `remote.ip` is the peer's address, everything of HTTP is empty. */
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
