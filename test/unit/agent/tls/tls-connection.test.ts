/*
 * TLS that the agent terminates, with real clients of node:tls and raw bytes: who is let in, as whom, and what reaches the application.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import { expect } from 'chai';
import type { PortProtocol } from '../../../../src/agent/listener/destination.ts';
import type { TlsMode } from '../../../../src/agent/tls/tls-termination.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { type CertificateOptions, EXTENDED_USAGE, issue, newAuthority, USAGE } from '../../../support/certificates.ts';
import { allow, deny, filterChainOf } from '../../filters/chains.ts';
import { RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';
import {
  CLIENT_URI,
  clientOptions,
  type Ending,
  type Mesh,
  materialOf,
  newMesh,
  SERVER_URI,
  type TestTermination,
  talkTls,
  terminationOf,
} from './tls-stage.ts';

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';
const CLOSING_GET = 'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const EVERYBODY = filterChainOf([allow('all', {})]);
const greet = (socket: Socket): void => {
  socket.on('data', () => socket.end('seen'));
  socket.write('hello');
};
const served = (text: string): boolean => /(?:ok|denied)$/.test(text);
const ISTIO = ['istio-http/1.1', 'istio', 'http/1.1'];

describe('TLS at the agent', function () {
  this.timeout(20_000);
  let mesh: Mesh;
  let tls: TestTermination;
  let at: Stage;
  before(async () => {
    mesh = await newMesh();
  });
  const start = async (mode: TlsMode = 'permissive', protocol: PortProtocol = 'http', options: StageOptions = {}): Promise<Stage> => {
    tls = await terminationOf(mesh, mode);
    at = await stage({
      filterChain: EVERYBODY,
      tls,
      destination: (upstreamPort) => ({
        upstreamHost: '127.0.0.1',
        upstreamPort,
        destinationIp: '10.1.2.3',
        destinationPort: 8080,
        protocol: () => protocol,
      }),
      ...options,
    });
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });
  const ask = (options: ConnectionOptions = {}, pair = mesh.client): Promise<Ending> =>
    talkTls({ ...clientOptions(mesh, at.port, pair), ...options }, GET, served);
  const untilResult = async (count = 1): Promise<string> => {
    while (tls.results.length < count) await sleep(1);
    return tls.results.at(-1) ?? '';
  };

  describe('lets a client with a certificate of the mesh in', () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      it(`over ${version}, and policies and the application know who it is`, async () => {
        const filterChain = filterChainOf([
          allow('sleep', { from: [{ source: { principals: ['cluster.local/ns/bar/sa/sleep'], namespaces: ['bar'] } }] }),
          deny('name', { when: [{ key: 'connection.sni', values: ['denied.example'] }] }),
        ]);
        await start('permissive', 'http', { filterChain });
        const limits = { minVersion: version, maxVersion: version };
        const { text } = await ask({ ...limits, servername: 'APP.example' });
        const denied = await ask({ ...limits, servername: 'denied.example' });

        expect(text).to.match(/^HTTP\/1\.1 200/);
        expect(denied.text).to.match(/^HTTP\/1\.1 403/);
        expect(tls.results).to.deep.equal([version.slice(4), version.slice(4)]);
        expect(at.records[0]?.tls).to.deep.equal({ version: version.slice(4), serverName: 'app.example' });
        expect(at.records[0]?.verdict?.peer).to.deep.equal({ uri: CLIENT_URI, grade: 'mtls' });
        const digest = createHash('sha256').update(new X509Certificate(mesh.client.certPem).raw).digest('hex');
        expect(at.seen.join('')).to.include(`x-forwarded-client-cert: By=${SERVER_URI};Hash=${digest};Subject="";URI=${CLIENT_URI}\r\n`);
        expect(at.seen.join('')).to.include('x-forwarded-proto: https\r\n');
      });
    }

    it('and not as whom it says in a header, which the application gets before the element of the agent', async () => {
      await start('strict', 'http', { filterChain: filterChainOf([deny('boss', { from: [{ source: { principals: ['*/sa/boss'] } }] })]) });
      const forged = 'URI=spiffe://cluster.local/ns/a/sa/boss';
      const { text } = await talkTls(
        clientOptions(mesh, at.port),
        `GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-Client-Cert: ${forged}\r\n\r\n`,
        served,
      );

      expect(text).to.match(/^HTTP\/1\.1 200/);
      expect(at.seen.join('')).to.include(`x-forwarded-client-cert: ${forged},By=${SERVER_URI};`);
    });

    const others: readonly (readonly [string, CertificateOptions])[] = [
      ['has several URIs, one of them a SPIFFE ID of the domain', { uris: ['https://a.example/x', CLIENT_URI, 'spiffe://other/a'] }],
      ['has a key of RSA', { uris: [CLIENT_URI], isRsa: true }],
      ['has no extended key usage', { uris: [CLIENT_URI], extendedUsage: [] }],
      ['has a subject and DNS names', { uris: [CLIENT_URI], subject: 'C=DE, CN=a', dnsNames: ['a.example'] }],
    ];
    for (const [name, options] of others) {
      it(`whose certificate ${name}`, async () => {
        await start();

        expect((await ask({}, await issue(mesh.authority, options))).text).to.match(/^HTTP\/1\.1 200/);
      });
    }

    it('whose certificate an intermediate authority has issued', async () => {
      await start();
      const intermediate = await newAuthority('intermediate', mesh.authority);
      const { certPem, keyPem } = await issue(intermediate, { uris: [CLIENT_URI] });

      expect((await ask({}, { certPem: certPem + intermediate.certPem, keyPem })).text).to.match(/^HTTP\/1\.1 200/);
    });

    it('over HTTP/2, if it offers that', async () => {
      await start('permissive', 'http', { appProtocol: 'http1' });
      const client = connectHttp2(`https://127.0.0.1:${at.port}`, { ...clientOptions(mesh, at.port), ALPNProtocols: ['h2', 'http/1.1'] });
      const status = await new Promise<unknown>((resolve, reject) => {
        client.on('error', reject);
        client.request({ ':path': '/a' }).on('response', (headers) => resolve(headers[':status']));
      });
      client.destroy();

      expect(status).to.equal(200);
      expect(at.records[0]).to.deep.include({ protocol: '2' });
    });
  });

  describe('refuses, before the application sees anything,', () => {
    const HOUR = 3600;
    const bad: readonly (readonly [string, CertificateOptions, string])[] = [
      ['an expired certificate', { uris: [CLIENT_URI], notBefore: -2 * HOUR, notAfter: -HOUR }, 'expired'],
      ['a certificate that is not valid yet', { uris: [CLIENT_URI], notBefore: HOUR, notAfter: 2 * HOUR }, 'not_yet_valid'],
      ['a certificate for servers', { uris: [CLIENT_URI], extendedUsage: [EXTENDED_USAGE.serverAuth] }, 'purpose'],
      ['a certificate without the usage of a signature', { uris: [CLIENT_URI], usage: USAGE.cRLSign }, 'purpose'],
      ['a certificate without a URI', { subject: 'CN=a', dnsNames: ['a'] }, 'identity'],
      ['a URI of another scheme', { uris: ['https://cluster.local/ns/bar/sa/sleep'] }, 'identity'],
      ['a SPIFFE ID of another trust domain', { uris: ['spiffe://other.domain/ns/bar/sa/sleep'] }, 'identity'],
      ['a trust domain that only begins like ours', { uris: ['spiffe://cluster.local.evil/ns/bar/sa/sleep'] }, 'identity'],
      ['two SPIFFE IDs of other domains', { uris: ['spiffe://a/ns/b/sa/c', 'spiffe://b/ns/b/sa/c'] }, 'identity'],
    ];
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const limits = { minVersion: version, maxVersion: version };
      for (const [name, options, reason] of bad) {
        it(`${name} (${version})`, async () => {
          await start();

          expect((await ask(limits, await issue(mesh.authority, options))).text).to.equal('');
          expect(await untilResult()).to.equal(reason);
          expect(at.seen).to.deep.equal([]);
        });
      }

      it(`a certificate of another authority, one that signed itself, and none (${version})`, async () => {
        await start();
        const other = await newMesh();
        await ask(limits, other.client);
        expect(await untilResult(1)).to.equal('untrusted');
        await ask(limits, await issue(undefined, { subject: 'CN=a', uris: [CLIENT_URI] }));
        expect(await untilResult(2)).to.equal('untrusted');
        await talkTls({ ...clientOptions(mesh, at.port, mesh.client), cert: undefined, key: undefined, ...limits }, GET);
        expect(await untilResult(3)).to.equal('no_certificate');
        expect(at.seen).to.deep.equal([]);
        expect(at.closed).to.deep.equal(['handshake', 'handshake', 'handshake']);
      });
    }

    it('versions before TLS 1.2', async () => {
      await start();
      for (const version of ['TLSv1', 'TLSv1.1'] as const) {
        const { error } = await ask({ minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' });
        expect(error).to.equal('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
      }
      expect(await untilResult(2)).to.equal('version');
      expect(at.seen).to.deep.equal([]);
    });

    it('suites without forward secrecy or authenticated encryption', async () => {
      await start();
      for (const ciphers of ['AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'])
        expect((await ask({ maxVersion: 'TLSv1.2', ciphers })).error).to.match(/HANDSHAKE_FAILURE/);
      expect(await untilResult(3)).to.equal('cipher');
    });

    it('every handshake while the agent has no certificate', async () => {
      await start();
      tls.certificates.current = undefined;

      expect((await ask()).text).to.equal('');
      expect(tls.results).to.deep.equal(['no_own_certificate']);
      expect(await talk(at.port, GET, served)).to.match(/^HTTP\/1\.1 200/);
    });

    it('a second handshake', async () => {
      await start();
      const client = connect({ ...clientOptions(mesh, at.port), maxVersion: 'TLSv1.2' });
      const error = await new Promise<unknown>((resolve) => {
        client.on('error', (failure: NodeJS.ErrnoException) => resolve(failure.code));
        client.on('secureConnect', () => client.renegotiate({ rejectUnauthorized: false }, () => {}));
      });
      client.destroy();

      expect(error).to.equal('ERR_SSL_NO_RENEGOTIATION');
      expect(at.seen).to.deep.equal([]);
    });

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      it(`to resume a session (${version})`, async () => {
        await start();
        const limits = { minVersion: version, maxVersion: version };
        let session: Buffer | undefined;
        const first = connect({ ...clientOptions(mesh, at.port), ...limits });
        first.on('session', (offered: Buffer) => {
          session = offered;
        });
        await new Promise((resolve) => {
          first.on('data', resolve);
          first.write(GET);
        });
        session ??= first.getSession();
        first.destroy();
        const second = connect({ ...clientOptions(mesh, at.port), ...limits, ...(session !== undefined && { session }) });
        await new Promise((resolve) => second.on('secureConnect', resolve));

        expect(second.isSessionReused()).to.equal(false);
        second.destroy();
        // A client that has lost its certificate cannot use a session instead.
        await talkTls({ ...clientOptions(mesh, at.port), ...limits, cert: undefined, key: undefined, session }, GET);
        expect(await untilResult(3)).to.equal('no_certificate');
      });
    }
  });

  describe('in strict mode', () => {
    for (const protocol of ['http', 'tcp', 'detect'] as const) {
      it(`closes plain text on a port of protocol ${protocol}, and what only begins like TLS`, async () => {
        await start('strict', protocol);
        for (const bytes of [GET, '\x16', '\x16\x03\x01\x00\x00', '\x16\x02', '\x16\x03\x01\x00\x05\x02\x00\x00\x01x']) {
          const client = new RawClient(at.port).send(bytes);
          client.socket.end();
          expect(await client.untilClosed()).to.equal('');
        }

        expect(await untilResult(5)).to.equal('plaintext');
        expect(tls.results).to.deep.equal(['plaintext', 'client_left', 'plaintext', 'plaintext', 'plaintext']);
        expect(at.seen).to.deep.equal([]);
      });

      it(`terminates TLS of any client on a port of protocol ${protocol}`, async () => {
        await start('strict', protocol);

        for (const ALPNProtocols of [[], ['http/1.1'], ISTIO, ['unknown']])
          expect((await ask({ ALPNProtocols })).text).to.match(/^HTTP\/1\.1 200/);
      });
    }

    it('does not connect the application for a silent client', async () => {
      await start('strict', 'detect');
      const client = new RawClient(at.port);
      await sleep(3 * LIMITS.firstByteTime.value);

      expect(at.seen).to.deep.equal([]);
      client.socket.destroy();
      expect(await untilResult()).to.equal('client_left');
    });
  });

  describe('in permissive mode', () => {
    it('serves plain text as before, without an identity', async () => {
      await start('permissive', 'http', { filterChain: filterChainOf([allow('any', { from: [{ source: { principals: ['*'] } }] })]) });
      const plain = await talk(at.port, GET, (text) => text.includes('denied'));

      expect(plain).to.match(/^HTTP\/1\.1 403/);
      expect((await ask()).text).to.match(/^HTTP\/1\.1 200/);
    });

    for (const protocol of ['tcp', 'detect'] as const) {
      it(`passes TLS that is not for the mesh through, on a port of protocol ${protocol}`, async () => {
        const own = await issue(mesh.authority, { dnsNames: ['app.example'], subject: 'CN=app' });
        const application = createServer({ cert: own.certPem, key: own.keyPem }, (socket) => socket.end('own TLS'));
        await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
        const address = application.address();
        const filterChain = filterChainOf([allow('name', { when: [{ key: 'connection.sni', values: ['app.example'] }] })]);
        await start('permissive', protocol, { filterChain, application: typeof address === 'object' ? (address?.port ?? 0) : 0 });
        const { text } = await ask({ servername: 'app.example', ALPNProtocols: ['http/1.1'] });
        const denied = await ask({ servername: 'other.example' });
        application.close();

        expect(text).to.equal('own TLS');
        expect(denied.text).to.equal('');
        expect(tls.results).to.deep.equal([]);
      });

      it(`terminates TLS of Istio's proxies on a port of protocol ${protocol}`, async () => {
        const principals = { from: [{ source: { principals: ['cluster.local/ns/bar/sa/sleep'] } }] };
        await start('permissive', protocol, { filterChain: filterChainOf([allow('sleep', principals)]) });

        expect((await ask({ ALPNProtocols: ISTIO })).text).to.match(/^HTTP\/1\.1 200/);
        expect(tls.results).to.deep.equal(['1.3']);
        while (at.tcpRecords.length + at.records.length === 0) await sleep(1);
        expect(at.tcpRecords).to.have.length(protocol === 'tcp' ? 1 : 0);
      });
    }

    it('takes HTTP in TLS for HTTP, also when the client announces TCP, and compares its path', async () => {
      await start('permissive', 'detect', {
        filterChain: filterChainOf([deny('path', { to: [{ operation: { paths: ['/a'] } }] }), allow('all', {})]),
      });

      expect((await ask({ ALPNProtocols: ['istio', 'istio-peer-exchange'] })).text).to.match(/^HTTP\/1\.1 403/);
    });

    it('lets a server speak first, and terminates TLS of a client that begins late', async () => {
      await start('permissive', 'detect', { upstream: (socket) => socket.write('220 hello\r\n') });
      const smtp = new RawClient(at.port);
      expect(await smtp.until((text) => text !== '')).to.equal('220 hello\r\n');
      smtp.socket.destroy();
      await at.stop();

      await start('permissive', 'detect');
      const raw = connectTcp(at.port, '127.0.0.1');
      await sleep(2 * LIMITS.firstByteTime.value);
      const late = connect({ ...clientOptions(mesh, at.port), socket: raw, ALPNProtocols: ISTIO });
      late.write(GET);
      const answer = await new Promise<string>((resolve) => late.on('data', (chunk: Buffer) => resolve(chunk.toString('latin1'))));
      late.destroy();
      expect(answer).to.match(/^HTTP\/1\.1 200/);
    });

    it('leaves a client alone to which the application has spoken, whatever it says next', async () => {
      await start('permissive', 'tcp', { upstream: greet });
      const client = new RawClient(at.port);
      await client.until((text) => text === 'hello');
      client.send('\x16\x03\x01\x00\x05\x02\x00\x00\x01x');

      expect(await client.untilClosed()).to.equal('helloseen');
      expect(tls.results).to.deep.equal([]);
    });
  });

  it('serves TCP in TLS under the TCP rules, with half-close and back-pressure', async () => {
    const chunk = 'x'.repeat(1 << 20);
    await start('strict', 'tcp', {
      filterChain: filterChainOf([allow('sleep', { from: [{ source: { namespaces: ['bar'] } }] })]),
      upstream: (socket) => {
        let received = 0;
        socket.on('data', (bytes: Buffer) => {
          received += bytes.length;
          if (received === 1 << 20) socket.write('y'.repeat(1 << 20));
        });
      },
    });
    const client = connect({ ...clientOptions(mesh, at.port), allowHalfOpen: true } as ConnectionOptions);
    let text = '';
    client.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
    });
    client.end(chunk);
    await new Promise((resolve) => client.on('end', resolve));
    while (at.tcpRecords.length === 0) await sleep(1);

    expect(text).to.equal('y'.repeat(1 << 20));
    expect(at.tcpRecords[0]).to.include({ outcome: 'allow', received: 1 << 20 });
    expect(at.tcpRecords[0]?.facts).to.deep.include({ tlsVersion: '1.3', peer: { uris: [CLIENT_URI], dnsNames: [], subject: '' } });
  });

  it('does not look for another server name in TLS within TLS', async () => {
    const filterChain = filterChainOf([deny('inner', { when: [{ key: 'connection.sni', values: ['inner'] }] }), allow('all', {})]);
    await start('strict', 'tcp', { filterChain, upstream: (socket) => void socket.on('data', () => socket.end('seen')) });
    const outer = connect({ ...clientOptions(mesh, at.port), servername: 'outer' });
    const inner = connect({ socket: outer, servername: 'inner' });
    inner.on('error', () => {});
    while (at.tcpRecords.length === 0) await sleep(1);
    inner.destroy();

    expect(at.tcpRecords[0]).to.include({ outcome: 'allow' });
    expect(at.tcpRecords[0]?.facts.sni).to.equal('outer');
  });

  it('reads a handshake in pieces, one byte each', async () => {
    await start();
    const wire = new Wire(at.port, 1);
    const client = connect({ ...clientOptions(mesh, at.port), socket: wire });
    client.write(GET);
    const answer = await new Promise<string>((resolve) => client.on('data', (chunk: Buffer) => resolve(chunk.toString('latin1'))));
    client.destroy();
    wire.raw.destroy();

    expect(answer).to.match(/^HTTP\/1\.1 200/);
  });

  it('closes a connection whose ClientHello is too long, or stays incomplete', async () => {
    await start('permissive', 'http');
    const header = Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff]);
    await talk(at.port, Buffer.concat([header, Buffer.alloc(LIMITS.clientHelloBytes.value)]).toString('latin1'));
    expect(await untilResult(1)).to.equal('hello_too_large');
    const half = new RawClient(at.port).send('\x16\x03\x01\x02\x00\x01');
    half.socket.end();
    await half.untilClosed();
    expect(await untilResult(2)).to.equal('client_left');
    expect(at.seen).to.deep.equal([]);
  });

  it('closes what is late or sends too much before the end of the handshake, when it is swept', async () => {
    await start('strict');
    const silent = new RawClient(at.port);
    const half = new RawClient(at.port).send('\x16\x03\x01\x02\x00\x01');
    while (at.connections() < 2) await sleep(1);
    at.listener.sweep(performance.now() + LIMITS.handshakeTime.value - 1000);
    expect(at.connections()).to.equal(2);
    at.listener.sweep(performance.now() + LIMITS.handshakeTime.value);
    expect(await silent.untilClosed()).to.equal('');
    expect(await half.untilClosed()).to.equal('');
    await untilResult(2);
    expect(tls.results).to.deep.equal(['timeout', 'timeout']);
  });

  it('drops the handshake that began first when there are too many', async () => {
    await start();
    const hanging: ReturnType<typeof connectTcp>[] = [];
    const hello = await clientHello();
    for (let nth = 0; nth <= LIMITS.handshakes.value; nth += 1) {
      const raw = connectTcp(at.port, '127.0.0.1');
      raw.on('error', () => {});
      hanging.push(raw);
      raw.write(hello);
    }

    expect(await untilResult()).to.equal('too_many');
    expect((await ask()).text).to.match(/^HTTP\/1\.1 200/);
    for (const raw of hanging) raw.destroy();
    while (at.connections() > 0) await sleep(1);
    expect(new Set(tls.results)).to.deep.equal(new Set(['too_many', '1.3', 'client_left']));
  });

  it('leaves nothing behind when clients go away in any phase', async () => {
    await start('permissive', 'http');
    const total = 120;
    let ended = 0;
    for (let nth = 0; nth < total; nth += 1) {
      const wire = new Wire(at.port, 16_384, nth * 40);
      const client = connect({ ...clientOptions(mesh, at.port), socket: wire, ...(nth % 2 === 0 && { maxVersion: 'TLSv1.2' as const }) });
      client.on('error', () => {});
      client.write(GET);
      wire.raw.on('close', () => {
        ended += 1;
        client.destroy();
      });
      setTimeout(() => (nth % 3 === 0 ? wire.raw.resetAndDestroy() : wire.raw.destroy()), 40 + (nth % 20));
    }
    while (ended < total || at.connections() > 0) await sleep(5);
    at.listener.sweep(performance.now());

    expect((await ask()).text).to.match(/^HTTP\/1\.1 200/);
  });

  it('uses a new certificate for new connections, and keeps those that are open', async () => {
    await start();
    const open = connect(clientOptions(mesh, at.port));
    open.write(GET);
    await new Promise((resolve) => open.once('data', resolve));
    const next = await newMesh();
    tls.certificates.current = await materialOf(next.server, next.authority.certPem);
    const answer = new Promise<string>((resolve) => open.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1'))));
    open.write(CLOSING_GET);

    expect(await answer).to.match(/^HTTP\/1\.1 200/);
    expect((await talkTls(clientOptions(next, at.port), GET, served)).text).to.match(/^HTTP\/1\.1 200/);
    expect((await ask()).text).to.equal('');
    open.destroy();
  });

  it('closes without the alert that ends TLS when the application resets the connection', async () => {
    await start('strict', 'tcp', { upstream: (socket) => void socket.on('data', () => socket.resetAndDestroy()) });
    const wire = new Wire(at.port, 16_384);
    const types: number[] = [];
    wire.raw.on('data', (bytes: Buffer) => types.push(bytes[0] ?? 0));
    const client = connect({ ...clientOptions(mesh, at.port), socket: wire, maxVersion: 'TLSv1.2' });
    client.on('error', () => {});
    client.write('x');
    await new Promise((resolve) => wire.raw.on('close', resolve));
    client.destroy();

    // Records begin with their type: 22 is a handshake, 21 an alert.
    expect(types.length).to.be.greaterThan(0);
    expect(types).not.to.include(21);
  });

  /** What a client of TLS sends first. */
  async function clientHello(): Promise<Buffer> {
    const sent = Promise.withResolvers<Buffer>();
    const wire = new Duplex({ read: () => {}, write: (chunk: Buffer, _encoding, done) => (sent.resolve(chunk), done()) });
    const client = connect({ ...clientOptions(mesh, at.port), socket: wire });
    client.on('error', () => {});
    const bytes = await sent.promise;
    client.destroy();
    return bytes;
  }
});

/** A connection that sends in pieces, and stops after a number of bytes. */
class Wire extends Duplex {
  readonly raw: Socket;
  readonly #size: number;
  #left: number;

  constructor(port: number, size: number, bytes = Number.POSITIVE_INFINITY) {
    super();
    this.#size = size;
    this.#left = bytes;
    this.raw = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    this.raw.on('error', () => {});
    this.raw.on('data', (chunk: Buffer) => this.push(chunk));
    this.raw.on('end', () => this.push(null));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const part = chunk.subarray(0, Math.min(chunk.length, this.#left));
    this.#left -= part.length;
    void this.#send(part).then(done);
  }

  async #send(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += this.#size) {
      this.raw.write(bytes.subarray(at, at + this.#size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
