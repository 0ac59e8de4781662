/*
 * A router for the read-only HTTP ports of the controller: a fixed set of paths, GET and HEAD only.
 */

/** A complete response. */
export interface Reply {
  readonly status: number;
  /** Value of Content-Type. */
  readonly type: string;
  readonly body: string;
}

/** What a route handles. */
export interface RouteRequest {
  /** The segment after the path of the route; absent: the path ends there. */
  readonly subpath?: string;
  readonly query: URLSearchParams;
}

/** One path and its handler. */
export interface Route {
  /** Begins with a slash and has one segment, such as `/readyz`. */
  readonly path: string;
  /** Does the route also serve `<path>/<segment>`? Absent: no. */
  readonly subpaths?: boolean;
  readonly handle: (request: RouteRequest) => Reply | Promise<Reply>;
}

/** Answers one request. @param target the request target as received @throws what the handler of a route throws */
export type Router = (method: string, target: string) => Promise<Reply>;

/** A router: 400 for a malformed target, 405 for a method that is not GET or HEAD, 404 for an unknown path. */
export function createRouter(routes: readonly Route[]): Router {
  return async (method, target) => {
    const url = URL.parse(target, 'http://controller');
    if (url === null) return plainText(400, 'bad request\n');
    if (method !== 'GET' && method !== 'HEAD') return plainText(405, 'only GET\n');
    const [, first = '', ...rest] = url.pathname.split('/');
    const route = routes.find(({ path }) => path === `/${first}`);
    const isServed = route !== undefined && (rest.length === 0 || (rest.length === 1 && route.subpaths === true));
    if (!isServed) return plainText(404, 'not found\n');
    const [subpath] = rest;
    return route.handle({ query: url.searchParams, ...(subpath === undefined ? {} : { subpath }) });
  };
}

/** A reply of plain text. */
export function plainText(status: number, body: string): Reply {
  return { status, type: 'text/plain; charset=utf-8', body };
}
