/*
 * Normalization of requests; all rows were observed on Envoy 1.40.0.
 */
import { expect } from 'chai';
import type { RawRequest } from '../../../../src/http/heads.ts';
import { prepareRequest, refuseOldVersion } from '../../../../src/http/normalize/prepare.ts';
import type { PreparedRequest } from '../../../../src/http/normalize/prepared-request.ts';
import type { ConnectionFacts } from '../../../../src/policy/facts.ts';

const PLAIN: ConnectionFacts = { sourceIp: '10.0.0.9', destinationIp: '10.1.1.1', destinationPort: 8080, sni: '', tls: false };
const PEER = { uris: ['spiffe://td/ns/a/sa/b'], dnsNames: [], subject: '' };

function head(over: Partial<RawRequest>): RawRequest {
  return { version: '1.1', method: 'GET', target: '/p', headers: ['Host', 'h'], hasBody: false, connection: PLAIN, ...over };
}

function ok(over: Partial<RawRequest>): PreparedRequest {
  const preparation = prepareRequest(head(over), 'BASE');
  if (preparation.kind !== 'ok') throw new Error(preparation.details);
  return preparation.prepared;
}

function withHeaders(...headers: readonly string[]): readonly string[] {
  return ok({ headers: ['Host', 'h', ...headers] }).headers.filter((_, index, all) => all[index - (index % 2)] !== 'x-forwarded-proto');
}

describe('a version before HTTP/1.1', () => {
  const rows: readonly (readonly [name: string, target: string, headers: readonly string[], status: number, details: string])[] = [
    ['whatever the request is', '/p', ['Host', 'h'], 426, 'low_version'],
    ['without Host as well', '/p', [], 426, 'low_version'],
    ['after a fault of its target', '*', [], 400, 'http1.invalid_url'],
    ['after a fault of Connection', '*', ['Connection', 'a,b,c,d,e,f,g,h,i,j'], 400, 'http1.connection_header_rejected'],
  ];
  for (const [name, target, headers, status, details] of rows) {
    it(`is refused ${name}`, () => {
      expect(refuseOldVersion('GET', target, headers)).to.include({ status, details, close: true });
    });
  }
});

describe('normalizing a request', () => {
  it('takes host and scheme from an absolute target', () => {
    const request = ok({ target: 'HTTPS://u:p@a:80/x/../y?q', headers: ['Host', 'h', 'Connection', 'host'] });
    expect(request).to.include({ host: 'a:80', target: '/y?q', scheme: 'https' });
    expect(ok({ target: 'http://a', headers: [] })).to.include({ host: 'a', target: '/' });
  });

  it('accepts an empty host, a repeated one and every byte of an authority', () => {
    expect(ok({ headers: ['Host', ''] }).host).to.equal('');
    expect(ok({ headers: ['Host', 'a', 'host', 'b'] }).host).to.equal('a,b');
    expect(ok({ headers: ['Host', "!$%&'()*+,-.:;=@[]_~Az09"] }).host).to.equal("!$%&'()*+,-.:;=@[]_~Az09");
  });

  it('accepts CONNECT with a host and no path', () => {
    expect(ok({ method: 'CONNECT', target: 'a:80' })).to.include({ host: 'a:80', target: '' });
    const named = ok({ method: 'CONNECT', target: 'a:80', headers: ['Connection', 'x-forwarded-for, X-A', 'X-A', '1'] });
    expect(named.header('x-a')).to.equal('1');
  });

  it('accepts QUERY with a content type', () => {
    expect(ok({ method: 'QUERY', headers: ['Host', 'h', 'Content-Type', 'a/b'] }).method).to.equal('QUERY');
  });

  it('skips empty cookies before the first that is not over HTTP/2, and drops the header when all are empty', () => {
    const headersOf = (...headers: string[]): readonly string[] => ok({ version: '2', authority: 'h', headers }).headers;

    expect(headersOf('cookie', '')).to.deep.equal(['x-forwarded-proto', 'http']);
    expect(headersOf('cookie', '', 'cookie', 'a=1', 'cookie', '')).to.deep.equal(['cookie', 'a=1; ', 'x-forwarded-proto', 'http']);
  });

  it('joins cookies over HTTP/2', () => {
    const request = ok({ version: '2', authority: 'h', headers: ['cookie', 'a=1', 'x', '2', 'cookie', 'b=3'] });
    expect(request.headers).to.deep.equal(['x', '2', 'cookie', 'a=1; b=3', 'x-forwarded-proto', 'http']);
  });

  it('accepts every method and every byte of a target over HTTP/2', () => {
    const request = ok({ version: '2', method: 'foo', target: '/ \u00e9', authority: 'h', scheme: 'HTTPS', headers: [] });
    expect(request).to.include({ method: 'foo', target: '/%20%E9', host: 'h', scheme: 'https' });
  });

  it('adds a request id when the request has none that is forwarded', () => {
    expect(ok({ requestId: 'ours' }).header('x-request-id')).to.equal('ours');
    expect(ok({ requestId: 'ours', headers: ['Host', 'h', 'X-Request-Id', 'theirs'] }).headerValues('x-request-id')).to.deep.equal([
      'theirs',
    ]);
    expect(
      ok({ requestId: 'ours', headers: ['Host', 'h', 'X-Request-Id', 'a', 'Connection', 'x-request-id'] }).header('x-request-id'),
    ).to.equal('ours');
    expect(ok({ requestId: 'ours', headers: ['Host', 'h', 'X-Request-Id', ''] }).headerValues('x-request-id')).to.deep.equal(['ours']);
  });

  it('takes the remote address from X-Forwarded-For', () => {
    expect(ok({ headers: ['Host', 'h', 'X-Forwarded-For', '1.2.3.4'] }).remoteIp).to.equal('1.2.3.4');
    expect(ok({}).remoteIp).to.equal('10.0.0.9');
  });
});

describe('normalization refuses', () => {
  const refusals: readonly (readonly [name: string, over: Partial<RawRequest>, status: number, details: string])[] = [
    ['an unknown method', { method: 'FOO' }, 400, 'http1.codec_error'],
    ['a method in lower case', { method: 'get' }, 400, 'http1.codec_error'],
    ['a space in the target', { target: '/a b' }, 400, 'http1.codec_error'],
    ['a byte above ASCII in the target', { target: '/\u0080' }, 400, 'http1.codec_error'],
    ['an empty target', { target: '' }, 400, 'http1.codec_error'],
    ['a target that is not a URL', { target: 'a' }, 400, 'http1.invalid_url'],
    ['a star for GET', { target: '*' }, 400, 'http1.invalid_url'],
    ['an absolute target with another scheme', { target: 'ftp://a/' }, 400, 'http1.invalid_scheme'],
    ['a CONNECT without port', { method: 'CONNECT', target: 'a' }, 400, 'http1.invalid_url'],
    ['a CONNECT to a path', { method: 'CONNECT', target: '/a' }, 400, 'http1.invalid_url'],
    ['no Host', { headers: [] }, 400, 'missing_host_header'],
    ['a Host that Connection names', { headers: ['Host', 'h', 'Connection', 'close, Host'] }, 400, 'missing_host_header'],
    ['a slash in Host', { headers: ['Host', 'a/b'] }, 400, 'http.invalid_authority'],
    ['a non-ASCII Host', { headers: ['Host', 'é'] }, 400, 'http.invalid_authority'],
    ['OPTIONS *', { method: 'OPTIONS', target: '*' }, 404, 'absolute_path_rejected'],
    ['an absolute target with a query and no path', { target: 'http://a?x' }, 404, 'absolute_path_rejected'],
    ['an empty path over HTTP/2', { version: '2', target: '', authority: 'h' }, 404, 'missing_path_rejected'],
    ['a relative path over HTTP/2', { version: '2', target: 'a', authority: 'h' }, 404, 'absolute_path_rejected'],
    ['QUERY without content-type', { method: 'QUERY' }, 400, 'query_missing_content_type'],
    [
      'QUERY with an empty content-type',
      { method: 'QUERY', headers: ['Host', 'h', 'Content-Type', ''] },
      400,
      'query_missing_content_type',
    ],
    ['NUL in the path', { target: '/%00' }, 400, 'path_normalization_failed'],
    ['an upgrade to something else', { headers: ['Host', 'h', 'Connection', 'upgrade', 'Upgrade', 'foo'] }, 403, 'upgrade_failed'],
    ['an upgrade to nothing', { headers: ['Host', 'h', 'Connection', 'upgrade', 'Upgrade', ''] }, 403, 'upgrade_failed'],
    [
      'x-forwarded-for named by Connection',
      { headers: ['Host', 'h', 'Connection', 'X-Forwarded-For'] },
      400,
      'http1.connection_header_rejected',
    ],
    [
      'a header that Connection names before a target that is not a URL',
      { target: '*', headers: ['Host', 'h', 'Connection', 'x-forwarded-for'] },
      400,
      'http1.connection_header_rejected',
    ],
    ['a pseudo header named by Connection', { headers: ['Host', 'h', 'Connection', ':path'] }, 400, 'http1.connection_header_rejected'],
    ['ten names in Connection', { headers: ['Host', 'h', 'Connection', 'a,b,c,d,e,f,g,h,i,j'] }, 400, 'http1.connection_header_rejected'],
    [
      'a huge TE named by Connection',
      { headers: ['Host', 'h', 'Connection', 'te', 'TE', 'x'.repeat(256)] },
      400,
      'http1.connection_header_rejected',
    ],
  ];
  for (const [name, over, status, details] of refusals) {
    it(name, () => {
      expect(prepareRequest(head(over), 'BASE')).to.include({ kind: 'reply', status, details });
    });
  }
});

describe('headers after normalization:', () => {
  const rows: readonly (readonly [name: string, sent: readonly string[], kept: readonly string[]])[] = [
    ['names are lower-cased', ['X-A', '1', 'x-B', '2'], ['x-a', '1', 'x-b', '2']],
    ['instances of other headers are kept separate', ['X-A', '1', 'X-A', '2'], ['x-a', '1', 'x-a', '2']],
    ['inline headers are joined', ['Authorization', 'A', 'x', '1', 'authorization', 'B'], ['authorization', 'A,B', 'x', '1']],
    ['late inline headers are joined', ['If-Range', 'A', 'if-range', 'B', 'Via', 'c'], ['if-range', 'A,B', 'via', 'c']],
    ['an empty instance adds no comma', ['Accept', 'a', 'Accept', '', 'Via', '', 'Via', 'b'], ['accept', 'a', 'via', 'b']],
    ['cookies are kept separate', ['Cookie', 'a=1', 'Cookie', 'b=2'], ['cookie', 'a=1', 'cookie', 'b=2']],
    [
      'hop-by-hop headers are removed',
      ['Connection', 'close', 'Keep-Alive', '1', 'Proxy-Connection', 'x', 'Transfer-Encoding', 'chunked', 'Upgrade', 'x'],
      [],
    ],
    [
      'control headers of Envoy are removed',
      ['X-Envoy-Internal', '1', 'x-envoy-max-retries', '9', 'x-envoy-original-path', '/x'],
      ['x-envoy-original-path', '/x'],
    ],
    ['headers that Connection names are removed', ['X-A', '1', 'Connection', 'x-a, keep-alive, connection', 'X-B', '2'], ['x-b', '2']],
    ['content-length is kept when Connection names it', ['Content-Length', '0', 'Connection', 'content-length'], ['content-length', '0']],
    ['a TE that Connection names keeps trailers in any case', ['TE', 'gzip, Trailers', 'Connection', 'te'], ['te', 'trailers']],
    ['a TE that Connection names is removed without trailers', ['TE', 'gzip', 'Connection', 'te'], []],
    ['Connection may name an absent TE', ['Connection', 'te'], []],
    ['TE keeps trailers', ['TE', 'gzip, trailers'], ['te', 'trailers']],
    ['TE trailers is kept', ['TE', 'trailers'], ['te', 'trailers']],
    ['TE without trailers is removed', ['TE', 'Trailers'], []],
    ['an empty TE is kept', ['TE', ''], ['te', '']],
    [
      'an upgrade to h2c is removed',
      ['Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c', 'HTTP2-Settings', 'x', 'X-A', '1'],
      ['x-a', '1'],
    ],
    ['a valid referer is kept', ['Referer', 'https://a/b?c'], ['referer', 'https://a/b?c']],
    ['an invalid referer is removed', ['Referer', 'about:blank'], []],
    ['a referer that Connection names is removed', ['Referer', 'a', 'Connection', 'referer'], []],
    ['x-forwarded-client-cert is removed without a certificate', ['X-Forwarded-Client-Cert', 'By=x'], []],
  ];
  for (const [name, sent, kept] of rows) {
    it(name, () => {
      expect(withHeaders(...sent)).to.deep.equal(kept);
    });
  }

  it('a websocket upgrade keeps its headers', () => {
    const request = ok({
      headers: ['Host', 'h', 'Connection', 'keep-alive, Upgrade, x-a', 'Upgrade', 'WebSocket', 'X-A', '1', 'TE', 'gzip'],
    });
    expect(request.upgrade).to.equal('websocket');
    expect(request.header('connection')).to.equal('keep-alive, Upgrade, x-a');
    expect(request.header('x-a')).to.equal('1');
    expect(request.header('te')).to.equal('gzip');
  });
});

describe('x-forwarded-client-cert after normalization', () => {
  const connection: ConnectionFacts = { ...PLAIN, tls: true, peer: PEER, forwardedClientCert: 'By=us;URI=them' };
  it('gets the element of this hop', () => {
    expect(ok({ connection }).header('x-forwarded-client-cert')).to.equal('By=us;URI=them');
    const request = ok({ connection, headers: ['Host', 'h', 'X-Forwarded-Client-Cert', 'By=a'] });
    expect(request.header('x-forwarded-client-cert')).to.equal('By=a,By=us;URI=them');
  });
  it('is unchanged when this hop has no element', () => {
    const request = ok({ connection: { ...PLAIN, peer: PEER }, headers: ['Host', 'h', 'X-Forwarded-Client-Cert', 'By=a'] });
    expect(request.header('x-forwarded-client-cert')).to.equal('By=a');
  });
  it('is not added without a peer', () => {
    expect(ok({ connection: { ...PLAIN, forwardedClientCert: 'By=us' } }).header('x-forwarded-client-cert')).to.equal(undefined);
  });
});

describe('scheme and x-forwarded-proto after normalization', () => {
  const rows: readonly (readonly [tls: boolean, sent: readonly string[], scheme: string, proto: string])[] = [
    [false, [], 'http', 'http'],
    [true, [], 'https', 'https'],
    [false, ['X-Forwarded-Proto', 'HTTPS'], 'https', 'HTTPS'],
    [true, ['X-Forwarded-Proto', 'foo'], 'https', 'foo'],
  ];
  for (const [tls, sent, scheme, proto] of rows) {
    it(`${tls ? 'TLS' : 'plain'} with ${JSON.stringify(sent)}`, () => {
      const request = ok({ headers: ['Host', 'h', ...sent], connection: { ...PLAIN, tls } });
      expect([request.scheme, request.header('x-forwarded-proto')]).to.deep.equal([scheme, proto]);
    });
  }
});
