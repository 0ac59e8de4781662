/*
 * Checks over gRPC, against a real gRPC server: what the check carries and what each response leads to.
 */
import { expect } from 'chai';
import type { ExtAuthzClient } from '../../../../src/agent/context.ts';
import type { ExtensionProvider } from '../../../../src/api/mesh-config.ts';
import { type CheckResponse, checkFailed } from '../../../../src/filters/check-response.ts';
import type { BodyPrefix } from '../../../../src/http/stream.ts';
import { CONNECTION, checkOf, clientUntil, providerOf } from './checks.ts';
import { type GrpcFake, type GrpcReply, startGrpcFake } from './fake-grpc-server.ts';

const says =
  (message: object): GrpcReply =>
  (_message, answer) =>
    answer(null, message);
const consent = says({ status: { code: 0 } });
const ALLOW = { kind: 'allow', setHeaders: [], removeHeaders: [] };
const ERROR = checkFailed(403);
const INVALID = checkFailed(500, 'ext_authz_invalid');
const PERMISSION_DENIED = 7;
const header = (key: string, value: string, more: object = {}): object => ({ header: { key, value }, ...more });

let fake: GrpcFake | undefined;
let stop = new AbortController();
let logged: string[] = [];
let sendCheck: ExtAuthzClient;
const never = new AbortController().signal;

async function ask(
  reply: GrpcReply,
  changes: Partial<ExtensionProvider> = {},
  request: Parameters<typeof checkOf>[1] = {},
  body?: BodyPrefix,
): Promise<CheckResponse> {
  fake ??= await startGrpcFake(reply);
  return await sendCheck(checkOf(providerOf(fake.port, { protocol: 'grpc', ...changes }), request), body, never);
}

/** Registers the hooks of one describe. */
function setUp(): void {
  beforeEach(() => {
    stop = new AbortController();
    logged = [];
    sendCheck = clientUntil(stop.signal, logged);
  });
  afterEach(() => {
    stop.abort();
    fake?.close();
    fake = undefined;
  });
}

describe('gRPC checks: requests', () => {
  setUp();

  it('carries the request with all headers, addresses and time', async () => {
    const before = Math.floor(Date.now() / 1000);
    await ask(
      consent,
      {},
      { method: 'PUT', headers: ['x-a', '1', 'x-request-id', 'id-1', 'x-a', '2', 'cookie', 'a=1', 'cookie', 'b=2', 'content-length', '3'] },
    );

    const { source, destination, request } = fake?.seen[0]?.attributes ?? {};
    expect(source).to.deep.include({ principal: '' });
    expect(source?.address.socket_address).to.deep.include({ address: '10.0.0.9' });
    expect(destination?.address.socket_address).to.deep.include({ address: '10.1.0.1', port_value: 8080 });
    expect(request?.time.seconds).to.be.within(before, before + 60);
    expect(request?.http).to.deep.include({
      id: 'id-1',
      method: 'PUT',
      path: '/orders?id=1',
      host: 'app.foo:8000',
      scheme: 'http',
      size: 3,
      protocol: 'HTTP/1.1',
      body: '',
      headers: {
        ':method': 'PUT',
        ':path': '/orders?id=1',
        ':authority': 'app.foo:8000',
        ':scheme': 'http',
        'x-a': '1,2',
        'x-request-id': 'id-1',
        cookie: 'a=1,b=2',
        'content-length': '3',
      },
    });
  });

  const peers: readonly (readonly [string, { uris: string[]; dnsNames: string[]; subject: string }, string])[] = [
    ['the URI of its certificate', { uris: ['spiffe://td/ns/a/sa/b', 'x'], dnsNames: ['d'], subject: 'CN=s' }, 'spiffe://td/ns/a/sa/b'],
    ['a DNS name', { uris: [], dnsNames: ['d'], subject: 'CN=s' }, 'd'],
    ['the subject', { uris: [], dnsNames: [], subject: 'CN=s' }, 'CN=s'],
  ];
  for (const [name, peer, principal] of peers) {
    it(`names the peer by ${name}`, async () => {
      fake = await startGrpcFake(consent);
      const check = checkOf(providerOf(fake.port, { protocol: 'grpc' }), {}, { ...CONNECTION, peer });
      await sendCheck(check, undefined, never);
      expect(fake.seen[0]?.attributes.source.principal).to.equal(principal);
    });
  }

  it('does not name a peer that is known by its address only', async () => {
    fake = await startGrpcFake(consent);
    const peer = { uris: ['spiffe://td/ns/a/sa/b'], dnsNames: [], subject: '' };
    await sendCheck(
      checkOf(providerOf(fake.port, { protocol: 'grpc' }), {}, { ...CONNECTION, peer, peerGrade: 'pod-ip' }),
      undefined,
      never,
    );
    expect(fake.seen[0]?.attributes.source.principal ?? '').to.equal('');
  });

  it('carries addresses and names of a TCP connection, and no request', async () => {
    fake = await startGrpcFake(consent);
    const connection = {
      ...CONNECTION,
      peer: { uris: ['spiffe://td/ns/a/sa/b'], dnsNames: [], subject: '' },
      localUri: 'spiffe://td/ns/a/sa/own',
    };
    const answer = await sendCheck({ kind: 'check', provider: providerOf(fake.port, { protocol: 'grpc' }), connection }, undefined, never);

    expect(answer).to.deep.equal(ALLOW);
    const { source, destination, request } = fake.seen[0]?.attributes ?? {};
    expect(source).to.deep.include({ principal: 'spiffe://td/ns/a/sa/b' });
    expect(destination).to.deep.include({ principal: 'spiffe://td/ns/a/sa/own' });
    expect(destination?.address.socket_address).to.deep.include({ address: '10.1.0.1', port_value: 8080 });
    expect(request ?? undefined).to.equal(undefined);
  });

  it('carries bytes as UTF-8 and marks invalid sequences', async () => {
    const utf8 = Buffer.from('é').toString('latin1');
    await ask(consent, {}, { headers: ['x-a', utf8, 'x-b', 'a\xffb'], target: `/${utf8}` });
    expect(fake?.seen[0]?.attributes.request.http.headers).to.deep.include({ 'x-a': 'é', 'x-b': 'a!b' });
    expect(fake?.seen[0]?.attributes.request.http.path).to.equal('/é');
  });

  it('carries the body as a string or as bytes', async () => {
    const limits = { maxRequestBytes: 3, allowPartialMessage: true, packAsBytes: false };
    const body = { bytes: Buffer.from([0x61, 0xff, 0x62, 0x63]), whole: true };
    await ask(consent, { includeRequestBodyInCheck: limits }, { headers: ['x-envoy-auth-partial-body', 'forged'] }, body);
    await ask(consent, { includeRequestBodyInCheck: { ...limits, maxRequestBytes: 9, packAsBytes: true } }, {}, body);

    const [text, packed] = (fake?.seen ?? []).map((seen) => seen.attributes.request.http);
    expect(text).to.deep.include({ body: 'a!b', size: 3 });
    expect(text?.headers['x-envoy-auth-partial-body']).to.equal('true');
    expect(packed).to.deep.include({ body: '', raw_body: body.bytes });
    expect(packed?.headers['x-envoy-auth-partial-body']).to.equal('false');
  });
});

describe('gRPC checks: responses', () => {
  setUp();

  it('allows with an empty response', async () => {
    expect(await ask(says({}))).to.deep.equal(ALLOW);
    expect(await ask(says({}))).to.deep.equal(ALLOW);
  });

  it('allows and changes headers and query', async () => {
    const answer = await ask(
      says({
        status: { code: 0 },
        ok_response: {
          headers: [
            header('X-Set', 'é'),
            header('x-append', '1', { append: { value: true } }),
            header('x-no', '2', { append: {} }),
            header(':path', '/else'),
          ],
          headers_to_remove: ['Authorization'],
          response_headers_to_add: [
            header('x-1', 'default'),
            header('x-2', 'append', { append: { value: true } }),
            header('x-3', 'set', { append: {} }),
            header('x-4', 'if absent', { append_action: 1 }),
            header('x-5', 'set', { append_action: 2 }),
            header('x-6', 'if present', { append_action: 3 }),
            header('content-length', '7'),
            { header: { key: 'x-7', raw_value: Buffer.from([0xe9]) } },
          ],
          query_parameters_to_set: [{ key: 'a', value: '1' }],
          query_parameters_to_remove: ['b'],
        },
      }),
    );

    expect(answer).to.deep.equal({
      kind: 'allow',
      setHeaders: ['x-set', '\xc3\xa9', 'x-no', '2'],
      appendHeaders: ['x-append', '1'],
      removeHeaders: ['authorization'],
      setQuery: ['a', '1'],
      removeQuery: ['b'],
      downstreamHeaders: [
        { how: 'add', name: 'x-1', value: 'default' },
        { how: 'add', name: 'x-2', value: 'append' },
        { how: 'add', name: 'x-7', value: '\xe9' },
        { how: 'set', name: 'x-3', value: 'set' },
        { how: 'set', name: 'x-5', value: 'set' },
        { how: 'add-if-absent', name: 'x-4', value: 'if absent' },
        { how: 'set-if-present', name: 'x-6', value: 'if present' },
      ],
    });
  });

  const denials: readonly (readonly [string, object, object])[] = [
    ['403 by itself', {}, { status: 403, body: '', headers: [] }],
    [
      'a status, headers and a body',
      { status: { code: 401 }, headers: [header('X-Why', 'a'), header('set-cookie', '1'), header('set-cookie', '2')], body: 'né' },
      { status: 401, body: 'né', headers: ['x-why', 'a', 'set-cookie', '1', 'set-cookie', '2'] },
    ],
    ['a status of success', { status: { code: 200 } }, { status: 200 }],
    ['an interim status', { status: { code: 101 } }, { status: 403 }],
    ['an invalid status', { status: { code: 9999 } }, { status: 403 }],
    [
      'framing that is not its business',
      { headers: [header('content-length', '0'), header(':status', '200'), header('transfer-encoding', 'x')], body: 'b' },
      { status: 403, body: 'b', headers: [] },
    ],
  ];
  for (const [name, denied_response, expected] of denials) {
    it(`denies with ${name}`, async () => {
      expect(await ask(says({ status: { code: PERMISSION_DENIED }, denied_response }))).to.deep.include({ kind: 'reply', ...expected });
    });
  }

  it('denies with any status but OK', async () => {
    for (const code of [1, 5, 16, -1]) {
      fake?.close();
      fake = undefined;
      expect(await ask(says({ status: { code }, ok_response: {} }))).to.deep.include({ kind: 'reply', status: 403 });
    }
  });

  const invalid: readonly (readonly [string, object])[] = [
    ['a header value of two lines', { ok_response: { headers: [header('x-a', 'a\r\nx-b: c')] } }],
    ['an invalid header name', { ok_response: { headers: [header('x a', 'a')] } }],
    ['an empty header name', { ok_response: { headers: [header('', 'a', { append: { value: true } })] } }],
    ['a response header of two lines', { ok_response: { response_headers_to_add: [header('x-a', 'a\nb')] } }],
    ['a query value with a blank', { ok_response: { query_parameters_to_set: [{ key: 'a', value: 'b c' }] } }],
    ['a query value with a fragment', { ok_response: { query_parameters_to_set: [{ key: 'a', value: 'b#c' }] } }],
    ['a denial with a header of two lines', { status: { code: PERMISSION_DENIED }, denied_response: { headers: [header('x-a', 'a\0')] } }],
  ];
  for (const [name, message] of invalid) {
    it(`denies with 500 for ${name}, even if the provider fails open`, async () => {
      expect(await ask(says(message), { failOpen: true })).to.deep.equal(INVALID);
    });
  }

  const failures: readonly (readonly [string, GrpcReply, Partial<ExtensionProvider>])[] = [
    ['answers with an RPC error', (_message, answer) => answer({ code: 14, details: 'down' }), {}],
    ['denies by an RPC error', (_message, answer) => answer({ code: PERMISSION_DENIED, details: 'no' }), {}],
    ['does not answer in time', () => {}, { timeoutMs: 30 }],
    ['goes away', () => fake?.close(), {}],
    ['does not listen', consent, { port: 1 }],
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

  it('never fails open for a host name that does not exist', async () => {
    expect(await ask(consent, { service: 'no-such-host.invalid', failOpen: true })).to.deep.equal(ERROR);
  });

  it('cancels the call when the client is gone, and does not allow then', async () => {
    const client = new AbortController();
    const cancelled = Promise.withResolvers<void>();
    fake = await startGrpcFake((_message, _answer, call) => {
      call.on('cancelled', () => cancelled.resolve());
      client.abort();
    });
    const check = checkOf(providerOf(fake.port, { protocol: 'grpc', failOpen: true }));
    expect(await sendCheck(check, undefined, client.signal)).to.deep.equal(ERROR);
    await cancelled.promise;
    expect(logged).to.deep.equal([]);
  });
});
