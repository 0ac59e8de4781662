/*
 * Checks over HTTP, against a real HTTP server: what the check carries and what each response leads to.
 */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import type { ExtAuthzClient } from '../../../../src/agent/context.ts';
import type { ExtensionProvider } from '../../../../src/api/mesh-config.ts';
import { type CheckResponse, checkDenied, checkFailed } from '../../../../src/filters/check-response.ts';
import type { BodyPrefix } from '../../../../src/http/stream.ts';
import { checkOf, clientUntil, type HttpFake, providerOf, type Reply, startHttpFake, valuesOf } from './checks.ts';

const consent: Reply = (response) => void response.writeHead(200).end();
const ALLOW = { kind: 'allow', setHeaders: [], removeHeaders: [] };
const ERROR = checkFailed(403);

let fake: HttpFake | undefined;
let stop = new AbortController();
let logged: string[] = [];
let sendCheck: ExtAuthzClient;
const never = new AbortController().signal;

async function ask(
  reply: Reply,
  changes: Partial<ExtensionProvider> = {},
  request: Parameters<typeof checkOf>[1] = {},
  body?: BodyPrefix,
): Promise<CheckResponse> {
  fake ??= await startHttpFake(reply);
  return await sendCheck(checkOf(providerOf(fake.port, changes), request), body, never);
}

/** Registers the hooks of one describe. */
function setUp(): void {
  beforeEach(() => {
    stop = new AbortController();
    logged = [];
    sendCheck = clientUntil(stop.signal, logged);
  });
  afterEach(async () => {
    stop.abort();
    await fake?.close();
    fake = undefined;
  });
}

describe('HTTP checks: requests', () => {
  setUp();

  it('has none for a TCP connection, which is denied even where the provider fails open', async () => {
    fake = await startHttpFake(consent);
    const { connection } = checkOf(providerOf(fake.port));
    const provider = providerOf(fake.port, { failOpen: true });

    expect(await sendCheck({ kind: 'check', provider, connection }, undefined, never)).to.deep.equal(ERROR);
  });

  it('carries the method, the path with query after the prefix, Host, Authorization and a length, and nothing else', async () => {
    const headers = ['authorization', 'Bearer x', 'x-user', 'me', 'cookie', 'a=b'];
    await ask(consent, { pathPrefix: '/check' }, { method: 'DELETE', headers });

    expect(fake?.seen).to.deep.equal([
      {
        method: 'DELETE',
        url: '/check/orders?id=1',
        headers: ['host', 'app.foo:8000', 'authorization', 'Bearer x', 'content-length', '0', 'Connection', 'keep-alive'],
        body: '',
      },
    ]);
  });

  it('carries the headers that the patterns select, case-insensitively, several instances as one', async () => {
    const headers = [
      'x-a',
      '1',
      'x-a',
      '2',
      'id-token',
      't',
      'cookie',
      'a=1',
      'cookie',
      'b=2',
      'x',
      'no',
      'upgrade',
      'no',
      'expect',
      '100-continue',
    ];
    await ask(consent, { includeRequestHeadersInCheck: ['X-*', '*-Token', 'Cookie', '*', 'upgrade', 'expect'] }, { headers });

    const check = fake?.seen[0];
    expect(valuesOf(check, 'x-a')).to.deep.equal(['1,2']);
    expect(valuesOf(check, 'id-token')).to.deep.equal(['t']);
    expect(valuesOf(check, 'cookie')).to.deep.equal(['a=1,b=2']);
    for (const name of ['x', 'upgrade', 'expect']) expect(valuesOf(check, name)).to.deep.equal([]);
  });

  it('carries additional headers instead of the headers of the client', async () => {
    const provider = {
      includeRequestHeadersInCheck: ['x-a'],
      includeAdditionalHeadersInCheck: { 'X-A': 'own', 'x-b': 'more', 'Content-Length': '9' },
    };
    await ask(consent, provider, { headers: ['x-a', 'forged'] });

    expect(valuesOf(fake?.seen[0], 'x-a')).to.deep.equal(['own']);
    expect(valuesOf(fake?.seen[0], 'x-b')).to.deep.equal(['more']);
    expect(valuesOf(fake?.seen[0], 'content-length')).to.deep.equal(['0']);
  });

  // What Envoy 1.40 sends for `headers_to_add` of these formats and the same request; undefined: no header.
  for (const [format, sent] of [
    ['%REQ(x-forwarded-proto)%://%REQ(:authority)%%REQ(:path)%', 'https://app.foo:8000/orders?id=1'],
    ['%REQ(:METHOD)% %REQ(:scheme)% %REQ(Host)%', 'GET http app.foo:8000'],
    ['100%%', '100%'],
    ['%%REQ(x-b)%%', '%REQ(x-b)%'],
    ['%%%REQ(x-b)%%%', '%bee%'],
    ['a%REQ(x-none)%b', 'ab'],
    ['%REQ(x-none)%-', '-'],
    ['%REQ(x-none)%', undefined],
    ['%REQ(x-none?X-B)%', 'bee'],
    ['%REQ(x-none?)%', undefined],
    ['%REQ(?x-b)%', 'bee'],
    ['%REQ(x-empty?x-b)%', undefined],
    ['%REQ(x-multi)%', 'one'],
    ['%REQ(cookie):3%', 'abc'],
    ['%REQ(cookie):0%', undefined],
    ['%REQ(cookie):99%', 'abc=def'],
    ['%REQ(x-high):1%', 'ä'],
    ['ä', 'Ã¤'],
    ['%PROTOCOL%, %PROTOCOL()%', 'HTTP/1.1, HTTP/1.1'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '10.0.0.9'],
    ['', undefined],
  ] as const) {
    it(`replaces the operators of an additional header: ${format}`, async () => {
      const headers = ['x-forwarded-proto', 'https', 'x-b', 'bee', 'x-empty', '', 'x-multi', 'one', 'x-multi', 'two', 'cookie', 'abc=def'];
      await ask(consent, { includeAdditionalHeadersInCheck: { 'X-Made': format } }, { headers: [...headers, 'x-high', 'äöü'] });
      expect(valuesOf(fake?.seen[0], 'x-made')).to.deep.equal(sent === undefined ? [] : [sent]);
    });
  }

  it('keeps the header of the client when the additional header is empty', async () => {
    const provider = { includeRequestHeadersInCheck: ['x-a'], includeAdditionalHeadersInCheck: { 'x-a': '%REQ(x-none)%' } };
    await ask(consent, provider, { headers: ['x-a', 'own'] });
    expect(valuesOf(fake?.seen[0], 'x-a')).to.deep.equal(['own']);
  });

  it('denies, and sends nothing, when an additional header has an operator that it does not know', async () => {
    const answer = await ask(consent, { failOpen: true, includeAdditionalHeadersInCheck: { 'x-a': '%START_TIME%' } });
    expect(answer).to.deep.equal(ERROR);
    expect(fake?.seen).to.deep.equal([]);
  });

  describe('with a body', () => {
    const bodyOf = (text: string, whole = true): BodyPrefix => ({ bytes: Buffer.from(text), whole });
    const limits = { maxRequestBytes: 4, allowPartialMessage: false, packAsBytes: false };
    const request = { method: 'POST', headers: ['x-envoy-auth-partial-body', 'forged'] };

    it('carries no body unless the provider wants one', async () => {
      await ask(consent, {}, request, bodyOf('abcd'));
      expect(fake?.seen[0]).to.deep.include({ body: '' });
    });

    it('carries a body that is not too large', async () => {
      await ask(consent, { includeRequestBodyInCheck: limits, includeRequestHeadersInCheck: ['x-*'] }, request, bodyOf('abcd'));
      expect(fake?.seen[0]).to.deep.include({ body: 'abcd' });
      expect(valuesOf(fake?.seen[0], 'content-length')).to.deep.equal(['4']);
      expect(valuesOf(fake?.seen[0], 'x-envoy-auth-partial-body')).to.deep.equal(['false']);
    });

    for (const body of [bodyOf('abcde'), bodyOf('abc', false)]) {
      it(`sends no check when the body is too large: ${JSON.stringify(body)}`, async () => {
        const answer = await ask(consent, { includeRequestBodyInCheck: limits, failOpen: true }, request, body);
        expect(answer).to.deep.include({ kind: 'reply', status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' });
        expect(fake?.seen).to.deep.equal([]);
      });

      it(`carries the beginning of the body if the provider allows it: ${JSON.stringify(body)}`, async () => {
        await ask(consent, { includeRequestBodyInCheck: { ...limits, allowPartialMessage: true } }, request, body);
        expect(fake?.seen[0]).to.deep.include({ body: body.bytes.toString().slice(0, 4) });
        expect(valuesOf(fake?.seen[0], 'x-envoy-auth-partial-body')).to.deep.equal(['true']);
      });
    }
  });
});

describe('HTTP checks: responses', () => {
  setUp();

  it('allows with 200 and changes the headers that the lists name', async () => {
    const reply: Reply = (response) => {
      response.writeHead(200, [
        'X-User',
        'me',
        'X-Other',
        'no',
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'X-Envoy-Auth-Headers-To-Remove',
        'X-Gone, authorization,',
      ]);
      response.end('ignored');
    };
    const answer = await ask(reply, { headersToUpstreamOnAllow: ['x-user', 'x-envoy-*'], headersToDownstreamOnAllow: ['set-cookie'] });

    expect(answer).to.deep.equal({
      kind: 'allow',
      setHeaders: ['x-user', 'me'],
      removeHeaders: ['x-gone', 'authorization'],
      downstreamHeaders: [
        { how: 'add', name: 'set-cookie', value: 'a=1' },
        { how: 'add', name: 'set-cookie', value: 'b=2' },
      ],
    });
  });

  it('changes nothing without lists', async () => {
    expect(await ask((response) => void response.writeHead(200, { 'x-user': 'me' }).end())).to.deep.equal(ALLOW);
  });

  for (const status of [201, 204, 302, 401, 403, 404, 429]) {
    it(`denies with ${status}`, async () => {
      const answer = await ask((response) => void response.writeHead(status).end());
      expect(answer).to.deep.include({ kind: 'reply', status });
    });
  }

  const denies: Reply = (response) => {
    response.writeHead(401, [
      'WWW-Authenticate',
      'Basic',
      'Location',
      '/login',
      'X-Why',
      'because',
      'Host',
      'x',
      'Content-Type',
      'text/html',
    ]);
    response.end('<p>no</p>');
  };

  it('denies with the body and all headers of the server', async () => {
    const headers = ['www-authenticate', 'Basic', 'location', '/login', 'x-why', 'because', 'content-type', 'text/html'];
    expect(await ask(denies)).to.deep.equal(checkDenied(401, '<p>no</p>', headers));
  });

  it('denies with the listed headers and those that every denial has', async () => {
    expect(await ask(denies, { headersToDownstreamOnDeny: ['x-why'] })).to.deep.include({
      headers: ['www-authenticate', 'Basic', 'location', '/login', 'x-why', 'because'],
    });
  });

  it('denies with a body that is not UTF-8', async () => {
    const bytes = Buffer.from([0x1f, 0x8b, 0xff, 0x00]);
    const answer = await ask((response) => void response.writeHead(403).end(bytes));
    if (answer.kind !== 'reply') throw new Error(answer.kind);
    expect(answer.bytes).to.deep.equal(bytes);
  });

  it('denies without the body when it is endless', async () => {
    const answer = await ask((response) => {
      response.writeHead(403, { 'x-why': 'because' });
      response.write(Buffer.alloc(2 * 1024 * 1024));
    });
    expect(answer).to.deep.include({ kind: 'reply', status: 403, body: '' });
  });

  it('reads a response to HEAD', async () => {
    expect(await ask(denies, {}, { method: 'HEAD' })).to.deep.include({ kind: 'reply', status: 401, body: '' });
  });
});

describe('HTTP checks: failures', () => {
  setUp();

  const failures: readonly (readonly [string, Reply, Partial<ExtensionProvider>])[] = [
    ['responds 500', (response) => void response.writeHead(500).end(), {}],
    ['responds 503', (response) => void response.writeHead(503).end(), {}],
    ['does not respond in time', () => {}, { timeoutMs: 20 }],
    ['does not end its response in time', (response) => void response.writeHead(200).write('x'), { timeoutMs: 40 }],
    ['closes the connection', (response) => void response.socket?.destroy(), {}],
    [
      'breaks off its response',
      (response) => void response.writeHead(200, { 'content-length': '9' }).write('x', () => response.socket?.destroy()),
      {},
    ],
    ['does not speak HTTP', (response) => void response.socket?.end('HELLO\r\n\r\n'), {}],
    ['sends an invalid header', (response) => void response.socket?.end('HTTP/1.1 200 OK\r\nx y: 1\r\nContent-Length: 0\r\n\r\n'), {}],
    [
      'switches protocols',
      (response) => void response.socket?.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
      {},
    ],
  ];
  for (const [name, reply, changes] of failures) {
    it(`denies with the status of the provider when the server ${name}`, async () => {
      expect(await ask(reply, { ...changes, statusOnError: 502 })).to.deep.equal(checkFailed(502));
      expect(logged).to.deep.equal(['ext_authz server fails']);
    });

    it(`allows if the provider fails open when the server ${name}`, async () => {
      expect(await ask(reply, { ...changes, failOpen: true })).to.deep.equal(ALLOW);
    });
  }

  it('connects to the host without the namespace', async () => {
    expect(await ask(consent, { service: 'auth/127.0.0.1' })).to.deep.equal(ALLOW);
  });

  it('never fails open for a host name that does not exist', async () => {
    expect(await ask(consent, { service: 'no-such-host.invalid', failOpen: true })).to.deep.equal(ERROR);
  });

  it('never fails open for a check that cannot be sent', async () => {
    expect(await ask(consent, { failOpen: true }, { target: '/a b' })).to.deep.equal(ERROR);
    expect(await ask(consent, { failOpen: true }, { headers: ['authorization', 'a\nb'] })).to.deep.equal(ERROR);
    expect(fake?.seen).to.deep.equal([]);
  });

  it('never fails open for an unknown protocol', async () => {
    expect(await ask(consent, { failOpen: true, protocol: 'smtp' as 'http' })).to.deep.equal(ERROR);
  });

  it('logs once that the server fails, and once that it responds again', async () => {
    let status = 500;
    const reply: Reply = (response) => void response.writeHead(status).end();
    await ask(reply);
    await ask(reply);
    status = 200;
    await ask(reply);
    await ask(reply);
    expect(logged).to.deep.equal(['ext_authz server fails', 'ext_authz server responds again']);
  });
});

describe('HTTP checks: connections', () => {
  setUp();

  it('sends consecutive checks on one connection', async () => {
    for (let count = 0; count < 5; count += 1) await ask(consent, {}, { method: 'POST' });
    expect(fake?.connections()).to.equal(1);
  });

  it('sends a check again when the server has closed the kept connection', async () => {
    let asked = 0;
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', () => {
        asked += 1;
        // The second check on the first connection finds it dead.
        if (asked === 2) socket.destroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const check = checkOf(providerOf((server.address() as AddressInfo).port));
    try {
      expect(await sendCheck(check, undefined, never)).to.deep.equal(ALLOW);
      expect(await sendCheck(check, undefined, never)).to.deep.equal(ALLOW);
      expect(sockets).to.have.length(2);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  it('accepts timeouts longer than a timer of Node.js', async () => {
    expect(await ask((response) => void setTimeout(() => response.writeHead(200).end(), 10), { timeoutMs: 1e10 })).to.deep.equal(ALLOW);
  });

  it('closes the connection when the client is gone, and does not allow then', async () => {
    const client = new AbortController();
    const closed = Promise.withResolvers<void>();
    fake = await startHttpFake((response) => {
      response.on('close', closed.resolve);
      client.abort();
    });
    expect(await sendCheck(checkOf(providerOf(fake.port, { failOpen: true })), undefined, client.signal)).to.deep.equal(ERROR);
    await closed.promise;
    expect(logged).to.deep.equal([]);
  });
});
