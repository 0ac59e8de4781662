/* Whole requests, from bytes to verdict, under policies of every kind: the evaluated request is the forwarded request. */
import { parseRequestHead } from '../../../src/agent/http1/request-head.ts';
import { writeRequestHead } from '../../../src/agent/http1/write-request.ts';
import type { PathNormalization } from '../../../src/api/mesh-config.ts';
import { pathOf } from '../../../src/filters/request-facts.ts';
import type { Verdict } from '../../../src/filters/verdict.ts';
import { areValidValues } from '../../../src/http/field-syntax.ts';
import { allow, CONNECTION, custom, deny, filterChainOf, policy } from '../../unit/filters/chains.ts';
import { type FuzzTarget, hold } from '../target.ts';

const MODES: readonly PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];
const POLICIES: readonly object[] = [
  deny('no-admin', { to: [{ operation: { paths: ['/admin', '/admin/*'] } }] }),
  deny('no-role', { when: [{ key: 'request.headers[x-role]', values: ['admin'] }] }),
  allow(
    'rest',
    { to: [{ operation: { methods: ['GET', 'POST'], hosts: ['h*', '*.h'] } }] },
    { from: [{ source: { remoteIpBlocks: ['10.0.0.0/8'] } }] },
    { to: [{ operation: { paths: ['/t/{*}/{**}'] } }] },
  ),
  custom('asked', 'unknown', { to: [{ operation: { paths: ['/custom'] } }] }),
  policy('RequestAuthentication', 'ra', {
    jwtRules: [
      { issuer: 'i', jwks: '{"keys":[]}', fromHeaders: [{ name: 'x-jwt' }], fromParams: ['t'], outputPayloadToHeader: 'x-payload' },
    ],
  }),
];
const filterChains = MODES.map((pathNormalization) => filterChainOf(POLICIES, { mesh: { pathNormalization } }));

function check(verdict: Verdict, head: string): void {
  if (verdict.kind !== 'forward') {
    // A reply to gRPC has its status in the headers.
    hold(
      verdict.kind === 'reply' && (verdict.status >= 400 || verdict.headers.includes('grpc-status')),
      'a request that is not forwarded is refused',
    );
    return;
  }
  const { head: forwarded, log } = verdict;
  hold(pathOf(forwarded.target) === log.path || forwarded.method === 'CONNECT', 'the evaluated path is the forwarded path');
  hold(log.path !== '/admin' && !log.path.startsWith('/admin/'), 'a denied path is never forwarded');
  hold(areValidValues(forwarded.headers), 'every value is one line');
  for (let at = 0; at < forwarded.headers.length; at += 2) {
    const name = forwarded.headers[at] ?? '';
    hold(name === name.toLowerCase() && name.replaceAll('_', '-') !== 'x-payload', 'headers of tokens never come from clients');
    hold(
      !['host', 'connection', 'transfer-encoding', 'keep-alive', 'proxy-connection'].includes(name) || forwarded.upgrade !== '',
      'hop-by-hop headers are not forwarded',
    );
    hold(name !== 'x-role' || forwarded.headers[at + 1] !== 'admin', 'one of several equal headers is enough to deny');
  }
  const request = parseRequestHead(head);
  if (request.kind === 'reply' || forwarded.method === 'CONNECT') return;
  const again = parseRequestHead(writeRequestHead(forwarded, request));
  hold(again.kind === 'request' && again.target === forwarded.target, 'the upstream reads the request that was evaluated');
}

export const request: FuzzTarget = {
  name: 'request',
  properties:
    'the filter chain never throws; the evaluated request is the forwarded one; denied paths, forged and hop-by-hop headers are never forwarded',
  seeds: [
    'GET /a?t=x HTTP/1.1\r\nHost: h:80\r\nX-Role: user\r\nX-Role: b\r\n\r\n',
    'GET /%61dmin/..;/admin?x#y HTTP/1.1\r\nHost: h\r\nX_Payload: a\r\n\r\n',
    'POST http://u@x.h/t/a/b HTTP/1.1\r\nHost: y\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.1\r\nConnection: x-role, te\r\nTE: trailers\r\nReferer: /x\r\n\r\n',
    'GET /custom HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-Jwt: a.b.c\r\n\r\n',
    'OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: a\r\nAccess-Control-Request-Method: GET\r\nContent-Type: application/grpc\r\n\r\n',
    'CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n',
  ],
  dictionary: [
    '/admin',
    '/./',
    '..',
    '%2e',
    '%2f',
    '%5c',
    '\\',
    ';',
    '#',
    '?',
    '\r\n',
    'X-Role: admin\r\n',
    'X-Role: a\r\n',
    'x-payload: 1\r\n',
    'Host: h\r\n',
    'Connection: ',
    'x-forwarded-for',
    'X-Forwarded-For: 10.1.1.1\r\n',
    'Upgrade: h2c\r\n',
    'Authorization: Bearer a.b.c\r\n',
    'TE: ',
    'Referer: ',
    ',',
    'http://',
    '[::1]',
    'X-Envoy-Original-Path: /x\r\n',
    'X-Request-Id: 1\r\n',
    't=',
    '%61',
  ],
  regressions: [],
  run(input) {
    const end = input.indexOf('\r\n\r\n');
    if (end === -1) return;
    const head = input.slice(0, end + 4);
    const parsed = parseRequestHead(head);
    if (parsed.kind === 'reply') return;
    const raw = {
      version: '1.1',
      method: parsed.method,
      target: parsed.target,
      headers: parsed.headers,
      hasBody: parsed.body !== 0,
      requestId: 'r',
      connection: CONNECTION,
    } as const;
    for (const filterChain of filterChains) check(filterChain.evaluate(raw, 1_788_220_800), head);
  },
};
