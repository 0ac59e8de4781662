/*
 * Generates requests: ordinary ones, unusual ones, and invalid bytes, in the format of records.
 */
import { METHODS as NODE_METHODS } from 'node:http';
import type { RecordedPort, RecordedRequest } from '../../conformance/case-file.ts';
import type { Draw } from './draw.ts';
import { rawRequest } from './raw-requests.ts';
import type { JwtWorld } from './request-authentications.ts';
import { makeToken, type Token } from './tokens.ts';
import {
  FORWARDED,
  HEADER_NAMES,
  HEADER_VALUES,
  HOSTS,
  IPS,
  METHODS,
  ODD_TARGETS,
  PATHS,
  PRINCIPALS,
  QUERIES,
  SNIS,
} from './vocabulary.ts';

export interface RequestScope {
  readonly ports: readonly RecordedPort[];
  /** Address of the workload; peers of the other address family cannot reach it. */
  readonly ip: string;
  readonly jwt: JwtWorld | undefined;
  /** Probability of unusual values, 0 to 1. */
  readonly oddity: number;
  readonly asksAuthorizer: boolean;
}

/** Requests and their tokens. */
export interface DrawnRequests {
  readonly requests: readonly RecordedRequest[];
  readonly tokens: Readonly<Record<string, Token>>;
}

type Header = readonly [string, string];

/** Methods that Node's HTTP server accepts, which replaces the ext_authz servers. */
const KNOWN_TO_NODE = METHODS.filter((method) => NODE_METHODS.includes(method));

/** Draws `count` requests. */
export function drawRequests(draw: Draw, scope: RequestScope, count: number): DrawnRequests {
  const tokens: Record<string, Token> = {};
  const requests = draw.times(count, (index): RecordedRequest => {
    const port = draw.pick(scope.ports);
    const common = { name: `r${String(index).padStart(2, '0')}`, port: port.number, source: drawSource(draw, scope.ip) };
    if (port.protocol === 'tcp') return { ...common, raw: draw.pick(['ping\n', 'hello, who is there?\n', '\u0000\u0001 binary\n']) };
    // On a port without a Service Envoy detects the protocol first, so that invalid HTTP would not count as HTTP.
    const oddity = port.undeclared === true ? 0 : scope.oddity;
    if (draw.chance(oddity * 0.25)) return { ...common, raw: rawRequest(draw) };
    return { ...common, ...drawHttp(draw, { ...scope, oddity }, tokens) };
  });
  return { requests, tokens };
}

function drawSource(draw: Draw, ip: string): RecordedRequest['source'] {
  const family = IPS.filter((peer) => peer.includes(':') === ip.includes(':'));
  const mutual = draw.chance(0.5) ? { principal: draw.pick(PRINCIPALS), ...draw.maybe(0.9, () => ({ sni: draw.pick(SNIS) })) } : {};
  return { ip: draw.pick(family), ...mutual };
}

function drawHttp(draw: Draw, scope: RequestScope, tokens: Record<string, Token>): Omit<RecordedRequest, 'name' | 'port' | 'source'> {
  const odd = draw.chance(scope.oddity);
  const http2 = draw.chance(0.15);
  const method = odd
    ? draw.pick(scope.asksAuthorizer ? KNOWN_TO_NODE : METHODS)
    : draw.pick(['GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']);
  const plainPath = odd ? draw.pick(PATHS) : draw.pick(PATHS.slice(0, 10));
  const target =
    odd && !http2 && draw.chance(0.12) ? draw.pick(ODD_TARGETS) : plainPath + (plainPath.includes('?') ? '' : draw.pick(QUERIES));
  const headers: Header[] = drawHeaders(draw, odd);
  const carrier = { target, headers };
  if (scope.jwt !== undefined) for (let left = draw.pick([0, 1, 1, 1, 2]); left > 0; left -= 1) putToken(draw, scope.jwt, tokens, carrier);
  if (scope.asksAuthorizer && draw.chance(0.6)) headers.push(['x-ext-authz', draw.pick(['allow', 'allow', 'deny', 'ALLOW', ''])]);
  if (draw.chance(0.06))
    headers.push(['origin', draw.pick(['http://a.example', ''])], ['access-control-request-method', draw.pick(['GET', ''])]);
  const host = odd ? draw.pick(HOSTS) : draw.pick(['example.com', 'example.com:8080', 'app.foo.svc.cluster.local:8080']);
  const usable = http2
    ? headers.filter(
        ([name, value]) =>
          !/^(expect|connection|host|upgrade|keep-alive|proxy-connection|transfer-encoding|http2-settings)$/i.test(name) &&
          value === value.trim() &&
          (name !== 'te' || value === 'trailers'),
      )
    : headers;
  return {
    method: http2 && method === 'CONNECT' ? 'GET' : method,
    path: http2 ? carrier.target.replace(/^\\/, '/').replace(/[^\x21-\x7e]/g, '~') : carrier.target,
    // Requests that an HTTP/2 codec rejects test no decision.
    host: http2 && !/^[\w.:[\]-]{2,}$/.test(host) ? 'example.com' : host,
    ...(usable.length > 0 ? { headers: usable } : {}),
    ...(!http2 && (method === 'POST' || method === 'PUT') && draw.chance(0.3)
      ? { body: draw.pick(['abc', 'a=b', '{"a":1}', 'ü', 'x'.repeat(70_000)]) }
      : {}),
    ...(http2 ? { http2 } : {}),
  };
}

function drawHeaders(draw: Draw, odd: boolean): Header[] {
  const headers: Header[] = [];
  if (draw.chance(0.35)) headers.push([draw.pick(['x-forwarded-for', 'X-Forwarded-For']), odd ? draw.pick(FORWARDED) : draw.pick(IPS)]);
  if (odd && draw.chance(0.08)) headers.push(['x-forwarded-for', draw.pick(FORWARDED)]);
  for (let left = draw.upTo(odd ? 4 : 2); left > 0; left -= 1) {
    const name = odd ? draw.pick(HEADER_NAMES) : draw.pick(['x-user', 'X-User', 'x-env', 'accept', 'user-agent', 'cookie']);
    headers.push([name, odd ? draw.pick(HEADER_VALUES) : draw.pick(HEADER_VALUES.slice(0, 6))]);
    if (draw.chance(0.15)) headers.push([draw.pick([name, name.toUpperCase()]), draw.pick(HEADER_VALUES)]);
  }
  if (odd && draw.chance(0.05))
    headers.push(['connection', draw.pick(['x-user', 'close', 'keep-alive, x-env', 'x-user, authorization', 'te', 'upgrade'])]);
  if (odd && draw.chance(0.04)) headers.push(['connection', 'upgrade'], ['upgrade', draw.pick(['websocket', 'WebSocket', 'h2c', 'foo'])]);
  return headers;
}

/** Puts a token where a rule looks for it, or somewhere else. */
function putToken(draw: Draw, jwt: JwtWorld, tokens: Record<string, Token>, carrier: { target: string; headers: Header[] }): void {
  const issuer = draw.chance(0.95) ? draw.pick(jwt.issuers) : { name: 'https://unknown.example.com', keys: draw.pick(jwt.issuers).keys };
  const known = Object.values(tokens);
  const token = known.length > 0 && draw.chance(0.15) ? draw.pick(known) : makeToken(draw, issuer.name, issuer.keys);
  if (!known.includes(token)) tokens[`t${known.length}`] = token;
  const places = [
    'authorization',
    'authorization',
    ...(jwt.headers.length > 0 ? ['header', 'header', 'header'] : []),
    ...(jwt.params.length > 0 ? ['param', 'param'] : ['access_token']),
    ...(jwt.cookies.length > 0 ? ['cookie', 'cookie'] : []),
  ];
  switch (draw.pick(places)) {
    case 'header': {
      const { name, prefix } = draw.pick(jwt.headers);
      carrier.headers.push([name, `${oddPrefix(draw, prefix)}${token.jwt}`]);
      break;
    }
    case 'param':
      carrier.target = withQuery(draw, carrier.target, draw.pick(jwt.params), token.jwt);
      break;
    case 'access_token':
      carrier.target = withQuery(draw, carrier.target, 'access_token', token.jwt);
      break;
    case 'cookie': {
      const pair = `${draw.pick(jwt.cookies)}=${draw.chance(0.9) ? token.jwt : `"${token.jwt}"`}`;
      carrier.headers.push([
        'cookie',
        draw.pick([
          pair,
          pair,
          `a=b; ${pair}`,
          `${pair}; c=d`,
          `a=b;${pair}`,
          ` ${pair} `,
          `${pair};`,
          `x${pair}; ${pair}`,
          `${pair}; ${pair}x`,
        ]),
      ]);
      break;
    }
    default:
      carrier.headers.push([draw.pick(['authorization', 'Authorization']), `${oddPrefix(draw, 'Bearer ')}${token.jwt}`]);
  }
}

function oddPrefix(draw: Draw, prefix: string): string {
  if (draw.chance(0.9)) return prefix;
  return draw.pick([
    prefix.toLowerCase(),
    prefix.toUpperCase(),
    `x ${prefix}`,
    `${prefix} `,
    prefix.trim(),
    '',
    `${prefix}${prefix}`,
    `Basic abc, ${prefix}`,
    `${prefix}\t`,
    `x${prefix}`,
  ]);
}

function withQuery(draw: Draw, target: string, name: string, jwt: string): string {
  const parameter = draw.pick([
    `${name}=${jwt}`,
    `${name}=${jwt}`,
    `${name}=${jwt}`,
    `${encodeURIComponent(name)}=${jwt}`,
    `a=b&${name}=${jwt}&c=d`,
    `${name}=${jwt}&z=1&a=%20x&a=2`,
    `${name}=&${name}=${jwt}`,
    `${name}=${jwt.replaceAll('.', '%2E')}`,
    `b=+&${name}=${jwt}&a=%26`,
  ]);
  const fragment = target.indexOf('#');
  const [head, tail] = fragment === -1 ? [target, ''] : [target.slice(0, fragment), target.slice(fragment)];
  return `${head}${head.includes('?') ? '&' : '?'}${parameter.replaceAll(' ', '%20')}${tail}`;
}
