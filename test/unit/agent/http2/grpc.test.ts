/* gRPC through a listener: the client and the server of grpc-js at both ends, every kind of call. */
import {
  Client,
  type ClientReadableStream,
  credentials,
  type Deadline,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import { completeReply, textReply } from '../../../../src/http/local-reply.ts';
import { httpChain } from '../../filters/chains.ts';
import { headOf, logOf, type Stage, stage } from '../loopback.ts';

const same = (bytes: Buffer): Buffer => bytes;
const method = (name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Buffer, Buffer> => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const SERVICE = {
  unary: method('Unary', false, false),
  collect: method('Collect', true, false),
  repeat: method('Repeat', false, true),
  chat: method('Chat', true, true),
  fail: method('Fail', false, false),
  wait: method('Wait', false, false),
};

const trailer = (): Metadata => {
  const metadata = new Metadata();
  metadata.set('x-trailer', 'yes');
  return metadata;
};

async function startServer(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server();
  server.addService(SERVICE, {
    unary: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      const header = new Metadata();
      header.set('x-seen', String(call.metadata.get('x-sent')[0] ?? ''));
      call.sendMetadata(header);
      done(null, call.request, trailer());
    },
    collect: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => done(null, Buffer.concat(parts)));
    },
    repeat: (call: ServerWritableStream<Buffer, Buffer>) => {
      for (let nth = 0; nth < 20; nth += 1) call.write(call.request);
      call.end(trailer());
    },
    chat: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
    fail: (_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
      done({ code: status.NOT_FOUND, details: 'no such ünit' }),
    wait: () => {},
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { server, port };
}

/** Denies what carries `x-deny`, as the filters do. */
const chain = httpChain((raw) => {
  const log = { ...logOf('allow', raw.target), isGrpc: true };
  const at = raw.headers.indexOf('x-deny');
  if (at === -1) return { kind: 'forward', head: headOf(raw), log };
  const reply = textReply(Number(raw.headers[at + 1]), 'RBAC: access denied', 'denied');
  return { ...completeReply(reply, { grpc: true, isHead: false, close: false }), log: { ...log, outcome: 'deny' } };
});

describe('gRPC', () => {
  let server: Server;
  let at: Stage;
  let client: Client;

  before(async () => {
    const started = await startServer();
    server = started.server;
    at = await stage({ application: started.port, filterChain: chain, appProtocol: 'http2' });
    client = new Client(`127.0.0.1:${at.port}`, credentials.createInsecure());
  });
  after(async () => {
    client.close();
    server.forceShutdown();
    await at.stop();
  });

  const unary = (
    path: string,
    body: Buffer,
    { metadata = new Metadata(), deadline }: { metadata?: Metadata; deadline?: Deadline } = {},
  ): Promise<{ error: ServiceError | null; value: Buffer | undefined; header: Metadata; trailers: Metadata }> =>
    new Promise((resolve) => {
      let header = new Metadata();
      let trailers = new Metadata();
      const options = deadline === undefined ? {} : { deadline };
      const call = client.makeUnaryRequest(path, same, same, body, metadata, options, (error, value) => {
        setImmediate(() => resolve({ error, value, header, trailers }));
      });
      call.on('metadata', (received) => (header = received));
      call.on('status', ({ metadata: received }) => (trailers = received));
    });
  const all = async (call: ClientReadableStream<Buffer>): Promise<{ parts: Buffer[]; code: number; trailers: Metadata }> => {
    const parts: Buffer[] = [];
    call.on('data', (part: Buffer) => parts.push(part));
    call.on('error', () => {});
    const { code, metadata } = await new Promise<{ code: number; metadata: Metadata }>((resolve) => call.on('status', resolve));
    return { parts, code, trailers: metadata };
  };

  it('passes unary calls with metadata and trailers', async () => {
    const metadata = new Metadata();
    metadata.set('x-sent', 'value');
    const { error, value, header, trailers } = await unary(SERVICE.unary.path, Buffer.from('hello'), { metadata });

    expect([error, value?.toString(), header.get('x-seen'), trailers.get('x-trailer')]).to.deep.equal([null, 'hello', ['value'], ['yes']]);
  });

  it('passes messages of a megabyte, many at a time', async () => {
    const body = Buffer.alloc(1_000_000, 'm');
    const results = await Promise.all(Array.from({ length: 10 }, () => unary(SERVICE.unary.path, body)));

    expect(results.every(({ value }) => value?.equals(body))).to.equal(true);
  });

  it('passes a client stream', async () => {
    const result = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = client.makeClientStreamRequest(SERVICE.collect.path, same, same, (error, value: Buffer | undefined) =>
        error === null ? resolve(value) : reject(error),
      );
      for (let nth = 0; nth < 50; nth += 1) call.write(Buffer.from(`${nth},`));
      call.end();
    });

    expect(result?.toString()).to.equal(Array.from({ length: 50 }, (_, nth) => `${nth},`).join(''));
  });

  it('passes a server stream', async () => {
    const body = Buffer.alloc(100_000, 's');
    const { parts, code, trailers } = await all(client.makeServerStreamRequest(SERVICE.repeat.path, same, same, body));

    expect([parts.length, parts.every((part) => part.equals(body)), code, trailers.get('x-trailer')]).to.deep.equal([20, true, 0, ['yes']]);
  });

  it('passes both directions at the same time, message by message', async () => {
    const call = client.makeBidiStreamRequest(SERVICE.chat.path, same, same);
    const seen: string[] = [];
    const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));
    call.on('data', (part: Buffer) => {
      seen.push(part.toString());
      if (seen.length === 10) call.end();
      else call.write(Buffer.from(`message ${seen.length}`));
    });
    call.write(Buffer.from('message 0'));

    expect(await ended).to.equal(0);
    expect(seen).to.deep.equal(Array.from({ length: 10 }, (_, nth) => `message ${nth}`));
  });

  it('passes the status of a call that fails', async () => {
    const { error } = await unary(SERVICE.fail.path, Buffer.from('x'));

    expect([error?.code, error?.details]).to.deep.equal([status.NOT_FOUND, 'no such ünit']);
  });

  it('passes the status of a method that does not exist', async () => {
    expect((await unary('/test.Echo/None', Buffer.from('x'))).error?.code).to.equal(status.UNIMPLEMENTED);
  });

  for (const [code, grpc] of [
    ['401', status.UNAUTHENTICATED],
    ['403', status.PERMISSION_DENIED],
  ] as const) {
    it(`says ${status[grpc]} for a denial with ${code}`, async () => {
      const metadata = new Metadata();
      metadata.set('x-deny', code);
      const { error } = await unary(SERVICE.unary.path, Buffer.from('x'), { metadata });
      expect([error?.code, error?.details]).to.deep.equal([grpc, 'RBAC: access denied']);

      const stream = await all(client.makeBidiStreamRequest(SERVICE.chat.path, same, same, metadata));
      expect([stream.code, stream.parts]).to.deep.equal([grpc, []]);
    });
  }

  it('ends a call at its deadline', async () => {
    const { error } = await unary(SERVICE.wait.path, Buffer.from('x'), { deadline: Date.now() + 100 });

    expect(error?.code).to.equal(status.DEADLINE_EXCEEDED);
  });

  it('cancels a call at the server', async () => {
    const call = client.makeBidiStreamRequest(SERVICE.chat.path, same, same);
    const ended = all(call);
    call.write(Buffer.from('x'));
    await new Promise((resolve) => call.once('data', resolve));
    call.cancel();

    expect((await ended).code).to.equal(status.CANCELLED);
    expect((await unary(SERVICE.unary.path, Buffer.from('after'))).value?.toString()).to.equal('after');
  });
});

describe('gRPC calls that are not allowed any longer', () => {
  const denying = httpChain((request) => {
    const denied = completeReply(textReply(403, 'RBAC: access denied', 'rbac_access_denied_matched_policy[none]'), {
      grpc: true,
      isHead: false,
      close: false,
    });
    return { ...denied, log: { ...logOf('deny', request.target, denied.details), isGrpc: true } };
  });

  it('end with PERMISSION_DENIED behind the messages that came before', async () => {
    const { server, port } = await startServer();
    const at = await stage({ application: port, filterChain: chain, appProtocol: 'http2', reevaluate: true });
    const client = new Client(`127.0.0.1:${at.port}`, credentials.createInsecure());
    const call = client.makeBidiStreamRequest(SERVICE.chat.path, same, same);
    const seen: string[] = [];
    call.on('error', () => {});
    const ended = new Promise<{ code: number; details: string }>((resolve) => call.on('status', resolve));
    call.on('data', (part: Buffer) => {
      seen.push(part.toString());
      at.activate(denying);
    });
    call.write(Buffer.from('message'));
    const { code, details } = await ended;
    expect([seen, code, details]).to.deep.equal([['message'], status.PERMISSION_DENIED, 'RBAC: access denied']);
    expect(at.records.map(({ revoked }) => revoked)).to.deep.equal(['denied']);
    client.close();
    server.forceShutdown();
    await at.stop();
  });
});
