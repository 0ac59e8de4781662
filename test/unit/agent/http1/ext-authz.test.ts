/*
 * HTTP/1.1 connections during ext_authz checks, over loopback sockets: bodies kept back, previewed and passed on byte for byte.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { ExtAuthzClient } from '../../../../src/agent/context.ts';
import { BodyPrefixReader } from '../../../../src/agent/http1/body-prefix.ts';
import { type CheckResponse, checkDenied } from '../../../../src/filters/check-response.ts';
import type { FilterChain } from '../../../../src/filters/filter-chain.ts';
import type { HeaderChange } from '../../../../src/http/header-changes.ts';
import { type BodyPrefix, RAW_CHUNKS } from '../../../../src/http/stream.ts';
import { ALLOW, chainWithChecks, type Limits, partial, whole } from '../check-chain.ts';
import { OK, RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

const has =
  (part: string) =>
  (text: string): boolean =>
    text.includes(part);

let at: Stage;
let bodies: (BodyPrefix | undefined)[] = [];
let answer: CheckResponse = ALLOW;
const note: ExtAuthzClient = async (_check, body) => {
  bodies.push(body);
  await sleep(2);
  return answer;
};

async function start(filterChain: FilterChain, options: StageOptions = {}): Promise<Stage> {
  at = await stage({ filterChain, extAuthz: note, ...options });
  return at;
}

const shown = (): readonly string[] =>
  bodies.map((body) => (body === undefined ? 'none' : `${body.bytes.toString()}${body.whole ? '' : '…'}`));
const post = (fields: string, body: string): string => `POST /ok HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;
const upstreamBody = (): string => at.seen.join('').slice(at.seen.join('').indexOf('\r\n\r\n') + 4);

/** Responds when a head and this number of bytes have arrived. */
const answerAfter =
  (bytes: number): NonNullable<StageOptions['upstream']> =>
  (socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n') + 4;
      if (head > 3 && text.length >= head + bytes) socket.write(OK);
    });
  };

/** Registers the hooks of one describe. */
function setUp(): void {
  beforeEach(() => {
    bodies = [];
    answer = ALLOW;
  });
  afterEach(async () => {
    await at.stop();
  });
}

describe('HTTP/1.1 during an ext_authz check: bodies', () => {
  setUp();

  const CHUNKS = '3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n';
  const cases: readonly (readonly [string, readonly (Limits | undefined)[], string, string, readonly string[]])[] = [
    ['no body when the provider wants none', [undefined], 'Content-Length: 5', 'abcde', ['none']],
    ['a whole body', [whole(5)], 'Content-Length: 5', 'abcde', ['abcde']],
    ['a whole chunked body without its framing', [whole(5)], 'Transfer-Encoding: chunked', CHUNKS, ['abcde']],
    ['the beginning of a body', [partial(3)], 'Content-Length: 5', 'abcde', ['abc…']],
    ['the beginning of a chunked body', [partial(4)], 'Transfer-Encoding: chunked', CHUNKS, ['abcd…']],
    ['a body as large as the limit', [partial(5)], 'Content-Length: 5', 'abcde', ['abcde']],
    ['one byte too many of a body that is too large', [whole(3)], 'Content-Length: 5', 'abcde', ['abcd…']],
    [
      'to each server what its provider wants',
      [whole(2), undefined, partial(4), whole(9)],
      'Transfer-Encoding: chunked',
      CHUNKS,
      ['abc…', 'none', 'abcd…', 'abcde'],
    ],
  ];
  for (const [name, limits, fields, body, expected] of cases) {
    for (const inPieces of [false, true]) {
      it(`shows ${name}${inPieces ? ' that arrives byte by byte' : ''}, and the upstream the same bytes once`, async () => {
        const forwarded = body.replace(';x=y', '');
        const { port } = await start(chainWithChecks(limits), { upstream: answerAfter(forwarded.length) });
        const client = new RawClient(port);
        client.socket.setNoDelay(true);
        const text = post(fields, body);
        const head = text.indexOf('\r\n\r\n') + 4;
        client.send(text.slice(0, inPieces ? head : text.length));
        for (const octet of inPieces ? body : '') {
          await sleep(1);
          client.send(octet);
        }
        await client.until(has('ok'));
        client.socket.destroy();

        expect(shown().map((part) => (inPieces ? part.replace('…', '') : part))).to.deep.equal(
          expected.map((part) => (inPieces ? part.replace('…', '') : part)),
        );
        expect(upstreamBody()).to.equal(forwarded);
        expect(at.seen).to.have.length(1);
      });
    }
  }
});

describe('HTTP/1.1 during an ext_authz check: connections', () => {
  setUp();

  it('serves the next request on the connection', async () => {
    const { port } = await start(chainWithChecks([whole(5)]));
    const one = post('Content-Length: 5', 'abcde');
    const text = await talk(port, one + one, (all) => all.split('\r\n\r\nok').length === 3);
    expect(text.match(/HTTP\/1.1 200/g)).to.have.length(2);
    expect(shown()).to.deep.equal(['abcde', 'abcde']);
  });

  it('sends 100 Continue once to a client that waits for it', async () => {
    const { port } = await start(chainWithChecks([whole(5), undefined]));
    const client = new RawClient(port).send(post('Content-Length: 5\r\nExpect: 100-continue', ''));
    await client.until(has('100 Continue'));
    client.send('abcde');
    const text = await client.until(has('ok'));
    client.socket.destroy();
    expect(text.match(/100 Continue/g)).to.have.length(1);
    expect(shown()).to.deep.equal(['abcde', 'none']);
  });

  it('shows a large body whole and passes it on once', async () => {
    const size = 3 * 1024 * 1024;
    const { port } = await start(chainWithChecks([whole(size)]), { upstream: answerAfter(size) });
    const body = 'x'.repeat(size);
    await talk(port, post(`Content-Length: ${size}`, body), has('ok'));
    expect(bodies[0]?.bytes.length).to.equal(size);
    expect(upstreamBody() === body).to.equal(true);
  });

  it('sends nothing to the upstream when the server denies, and closes', async () => {
    answer = checkDenied(413, 'Payload Too Large');
    const { port } = await start(chainWithChecks([whole(3)]));
    const text = await talk(port, post('Content-Length: 5', 'abcde'));
    expect(text).to.match(/^HTTP\/1.1 413 Payload Too Large\r\n[^]*connection: close\r\n\r\nPayload Too Large$/);
    expect(at.seen).to.deep.equal([]);
  });

  it('replies with bytes that are not UTF-8', async () => {
    answer = { ...checkDenied(403, '\ufffd'), bytes: new Uint8Array([0xff, 0x00, 0x80]) };
    const { port } = await start(chainWithChecks([undefined]));
    const text = await talk(port, 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n', has('\r\n\r\n\xff\x00\x80'));
    expect(text).to.contain('content-length: 3\r\n');
  });

  it('refuses a body with malformed chunks before it sends a check', async () => {
    const { port } = await start(chainWithChecks([whole(9)]));
    expect(await talk(port, post('Transfer-Encoding: chunked', 'x\r\n'))).to.match(/^HTTP\/1.1 400 Bad Request/);
    expect(bodies).to.deep.equal([]);
    expect(at.seen).to.deep.equal([]);
  });

  it('times out a body that does not arrive', async () => {
    const { port } = await start(chainWithChecks([whole(9)]), { limits: { bodyTimeoutMs: 5 } });
    const client = new RawClient(port).send(post('Content-Length: 5', 'ab'));
    while (!client.closed) {
      await sleep(5);
      at.listener.sweep(performance.now());
    }
    expect(client.text).to.match(/^HTTP\/1.1 408 Request Timeout/);
    expect(bodies).to.deep.equal([]);
  });
});

describe('HTTP/1.1 during an ext_authz check: changes to the response', () => {
  setUp();

  const changes: readonly HeaderChange[] = [
    { how: 'add', name: 'set-cookie', value: 'b=2' },
    { how: 'set', name: 'x-app', value: 'new' },
    { how: 'set', name: 'content-length', value: '99' },
  ];
  const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';

  it('changes the head of the response and leaves its body alone', async () => {
    const upstream: StageOptions['upstream'] = (socket) =>
      void socket.on('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nX-App: old\r\nDate: d\r\n\r\nok'),
      );
    const { port } = await start(chainWithChecks([undefined], changes), { upstream });
    const text = await talk(port, GET + GET, (all) => all.split('\r\n\r\nok').length === 3);
    const head =
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=1\r\ndate: d\r\nset-cookie: b=2\r\nx-app: new\r\nserver: istio-envoy\r\n\r\nok';
    expect(text).to.equal(head + head);
  });

  it('changes the reply when the application fails', async () => {
    const { port } = await start(chainWithChecks([undefined], changes), { noUpstream: true });
    expect(await talk(port, GET, has('\r\n\r\n'))).to.match(/^HTTP\/1.1 503 [^]*set-cookie: b=2\r\nx-app: new\r\n/);
  });

  it('changes a 101', async () => {
    const upstream: StageOptions['upstream'] = (socket) =>
      void socket.once('data', () =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi'),
      );
    const { port } = await start(chainWithChecks([undefined], changes), { upstream });
    const request = 'GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    expect(await talk(port, request, has('hi'))).to.match(/^HTTP\/1.1 101 [^]*set-cookie: b=2\r\n[^]*\r\n\r\nhi$/);
  });
});

describe('HTTP/1.1 replies of the agent over sockets', () => {
  setUp();
  const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';

  it('answers 403 with an empty body when a check is due and the agent has no ext_authz client', async () => {
    const { port } = await start(chainWithChecks([undefined]), { extAuthz: undefined });
    expect(await talk(port, GET, has('\r\n\r\n'))).to.match(/^HTTP\/1.1 403 Forbidden\r\ncontent-length: 0\r\n/);
  });

  it('answers 503 with its reason phrase while no policy is active', async () => {
    const { port } = await start(chainWithChecks([]), { notReady: true });
    const text = await talk(port, GET, has('yet'));
    expect(text).to.match(/^HTTP\/1.1 503 Service Unavailable\r\n/);
    expect(text).to.match(/\r\n\r\nno policy in force yet$/);
    expect(at.seen).to.deep.equal([]);
  });
});

describe('BodyPrefixReader', () => {
  it('ignores what follows the body', () => {
    const preview = new BodyPrefixReader(3, 9);
    expect(preview.read(Buffer.from('ab'))).to.equal('more');
    expect(preview.read(Buffer.from('cGET'))).to.equal('enough');
    expect(preview.read(Buffer.from('more'))).to.equal('enough');
    expect(preview.prefix()).to.deep.equal({ bytes: Buffer.from('abc'), whole: true });
  });

  it('needs no more memory for a body in chunks of one byte than for any other', () => {
    const wanted = 512 * 1024;
    const preview = new BodyPrefixReader(RAW_CHUNKS, wanted);
    const part = Buffer.from('1\r\nx\r\n'.repeat(1024));
    const before = process.memoryUsage().heapUsed;
    for (let chunks = 1024; chunks < wanted; chunks += 1024) expect(preview.read(part)).to.equal('more');
    expect(process.memoryUsage().heapUsed - before).to.be.below(16 * 1024 * 1024);
    expect(preview.read(part)).to.equal('enough');
    expect(preview.prefix()).to.deep.equal({ bytes: Buffer.alloc(wanted, 'x'), whole: false });
  });
});
