/*
 * TCP connections over loopback sockets: when the verdict is due, who speaks first, half-close, back-pressure, limits, and the record.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { INPUT_BUDGET } from '../../../../src/agent/net/paused-input.ts';
import { CHECK_ALLOWED, type CheckResponse, checkDenied } from '../../../../src/filters/check-response.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { allow, authorizer, custom, deny, filterChainOf } from '../../filters/chains.ts';
import { databaseOf, RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

const EVERYBODY = filterChainOf([allow('all', {})]);
const NOBODY = filterChainOf([allow('none', { from: [{ source: { ipBlocks: ['192.0.2.1'] } }] })]);
const ECHO = (socket: Socket): void => void socket.on('data', (chunk: Buffer) => socket.write(chunk));
const has = (part: string) => (text: string) => text.includes(part);
const BINARY = '\0\x01\x02 binary';

for (const protocol of ['tcp', 'detect'] as const) {
  describe(`TCP connections on a port of protocol ${protocol}`, () => {
    let at: Stage;
    const start = async (options: StageOptions = {}): Promise<Stage> => {
      at = await stage({
        filterChain: EVERYBODY,
        upstream: ECHO,
        destination: databaseOf(protocol),
        ...options,
      });
      return at;
    };
    const untilRecorded = async (): Promise<Stage['tcpRecords'][number]> => {
      while (at.tcpRecords.length === 0) await sleep(1);
      return at.tcpRecords[0] as Stage['tcpRecords'][number];
    };
    afterEach(async () => {
      await at.stop();
    });

    it('pass bytes in both directions and are recorded when they end', async () => {
      const { port, closed } = await start();
      const client = new RawClient(port).send(BINARY);
      await client.until(has(BINARY));
      await client.send(' more').until(has(' more'));
      client.socket.end();
      await client.untilClosed();
      const { facts, outcome, details, received, sent, digest } = await untilRecorded();

      expect({ outcome, details, received, sent, digest }).to.deep.equal({
        outcome: 'allow',
        details: '',
        received: BINARY.length + 5,
        sent: BINARY.length + 5,
        digest: 'sha256:d',
      });
      expect(facts).to.include({ sourceIp: '127.0.0.1', destinationIp: '10.1.2.3', destinationPort: 5432, sni: '' });
      while (at.connections() > 0) await sleep(1);
      expect(closed).to.deep.equal(['client']);
    });

    it('pass an end of the client on, and serve what the application sends after it', async () => {
      const { port } = await start({
        upstream: (socket) => {
          let text = '';
          socket.on('data', (chunk: Buffer) => {
            text += chunk.toString('latin1');
          });
          socket.prependListener('end', () => socket.write(`got ${text.length}`));
        },
      });
      const client = new RawClient(port).send(BINARY);
      client.socket.end();

      expect(await client.until((text) => text.startsWith('got'))).to.equal(`got ${BINARY.length}`);
    });

    it('pass an end of the application on, and take what the client sends after it', async () => {
      const { port, seen } = await start({ upstream: (socket) => void socket.once('data', () => socket.end('bye')) });
      const client = new RawClient(port).send(BINARY);
      await client.until(has('bye'));
      client.send('late');
      while (!seen[0]?.endsWith('late')) await sleep(1);
      client.socket.end();
      await untilRecorded();
    });

    it('are connected when a silent client waits for the greeting of the server', async () => {
      const { port, seen } = await start({
        upstream: (socket) => {
          socket.write('220 mail\r\n');
          ECHO(socket);
        },
      });
      const client = new RawClient(port);
      await client.until(has('220 mail'));
      await client.send('HELO GET / HTTP/1.1\r\n').until(has('HTTP/1.1'));

      expect(seen).to.deep.equal(['HELO GET / HTTP/1.1\r\n']);
    });

    it('are closed by a denial before a byte reaches the application', async () => {
      const { port, seen } = await start({ filterChain: NOBODY });

      expect(await talk(port, BINARY)).to.equal('');
      expect(await untilRecorded()).to.include({ outcome: 'deny', details: 'rbac_access_denied_matched_policy[none]', received: 0 });
      expect(seen).to.deep.equal([]);
      while (at.connections() > 0) await sleep(1);
      expect(at.closed).to.deep.equal(['refused']);
    });

    it('are closed without a policy', async () => {
      const { port, seen } = await start({ notReady: true });

      expect(await talk(port, BINARY)).to.equal('');
      expect(await untilRecorded()).to.include({ outcome: 'closed', details: 'no_policy_bundle' });
      expect(seen).to.deep.equal([]);
    });

    describe('whose CUSTOM rule wants a check', () => {
      const mesh = { extensionProviders: [authorizer('ext')] };
      const filterChain = filterChainOf([custom('c', 'ext', {}), allow('all', {})], { mesh });

      it('are passed on from their first byte when the server allows them', async () => {
        const answer = Promise.withResolvers<CheckResponse>();
        const asked: unknown[] = [];
        const extAuthz: StageOptions['extAuthz'] = ({ connection, provider, request }) => {
          asked.push({ address: connection.sourceIp, port: connection.destinationPort, name: provider.name, request });
          return answer.promise;
        };
        const { port, seen } = await start({ filterChain, extAuthz });
        const client = new RawClient(port).send(BINARY);
        while (asked.length === 0) await sleep(1);
        client.send(' more');
        client.socket.end();
        await sleep(20);
        expect(seen).to.deep.equal([]);
        answer.resolve(CHECK_ALLOWED);

        expect(await client.untilClosed()).to.equal(`${BINARY} more`);
        expect(asked).to.deep.equal([{ address: '127.0.0.1', port: 5432, name: 'ext', request: undefined }]);
        expect(await untilRecorded()).to.deep.include({ outcome: 'allow', details: '', received: BINARY.length + 5 });
      });

      const refusals: readonly (readonly [string, StageOptions['extAuthz']])[] = [
        ['the server denies them', () => Promise.resolve(checkDenied(403, ''))],
        ['the check fails', () => Promise.reject(new Error('broken'))],
        ['no server can be asked', undefined],
      ];
      for (const [name, extAuthz] of refusals) {
        it(`are closed when ${name}`, async () => {
          const { port, seen } = await start({ filterChain, extAuthz });

          expect(await talk(port, BINARY)).to.equal('');
          expect(await untilRecorded()).to.deep.include({ outcome: 'deny', details: 'ext_authz_denied' });
          expect((await untilRecorded()).customRule).to.include({ name: 'c' });
          expect(seen).to.deep.equal([]);
        });
      }

      it('are still under the other rules when the server allows them', async () => {
        const others = filterChainOf([custom('c', 'ext', {}), deny('d', {})], { mesh });
        const { port, seen } = await start({ filterChain: others, extAuthz: () => Promise.resolve(CHECK_ALLOWED) });

        expect(await talk(port, BINARY)).to.equal('');
        expect(await untilRecorded()).to.deep.include({
          outcome: 'deny',
          details: 'rbac_access_denied_matched_policy[ns[foo]-policy[d]-rule[0]]',
        });
        expect(seen).to.deep.equal([]);
      });

      it('end the check when their client goes away', async () => {
        const gone = Promise.withResolvers<void>();
        const extAuthz: StageOptions['extAuthz'] = (_check, _body, signal) =>
          new Promise(() => signal.addEventListener('abort', () => gone.resolve()));
        const { port, seen } = await start({ filterChain, extAuthz });
        const client = new RawClient(port).send(BINARY);
        await sleep(20);
        client.socket.resetAndDestroy();
        await gone.promise;

        expect((await untilRecorded()).outcome).to.equal('none');
        expect(seen).to.deep.equal([]);
      });
    });

    it('are evaluated with the server name of TLS, also when the client was silent before', async () => {
      const named = { when: [{ key: 'connection.sni', values: ['secret.example'] }] };
      const { port, seen } = await start({ filterChain: filterChainOf([deny('d', named)]), upstream: () => {} });
      for (const [servername, outcome] of [
        ['Secret.example', 'deny'],
        ['open.example', 'allow'],
      ] as const) {
        at.tcpRecords.length = 0;
        const socket = new RawClient(port).socket;
        // Longer than the time after which the application is connected.
        await sleep(150);
        const client = connectTls({ socket, servername });
        client.on('error', () => {});
        while (outcome === 'allow' && !seen.some((text) => text.includes('open.example'))) await sleep(1);
        if (outcome === 'allow') socket.destroy();
        expect(await untilRecorded()).to.include({ outcome });
      }
      expect(seen.join('')).not.to.match(/secret.example/i);
    });

    it('are dropped when their ClientHello is too long or does not come', async () => {
      const { port, listener } = await start({ limits: { headTimeoutMs: 5 } });
      const begun = '\x16\x03\x01\x40\x00\x01\x00\x50\x00';

      expect(await talk(port, begun + 'x'.repeat(20_000))).to.equal('');
      expect(await untilRecorded()).to.include({ outcome: 'none', details: 'client_hello_too_large', digest: '' });
      const client = new RawClient(port).send(begun);
      while (!client.closed) {
        await sleep(5);
        listener.sweep(performance.now());
      }
      while (at.closed.length < 2) await sleep(1);
      expect(at.closed[1]).to.equal('timeout');
    });

    it('are reset when the application cannot be reached', async () => {
      const { port } = await start({ noUpstream: true });

      expect(await talk(port, BINARY)).to.equal('');
      expect(await untilRecorded()).to.include({ outcome: 'allow', details: 'upstream_connection_failure' });
    });

    it('are reset when the application resets', async () => {
      const { port } = await start({ upstream: (socket) => void socket.once('data', () => socket.resetAndDestroy()) });
      const client = new RawClient(port).send(BINARY);
      const error = await new Promise<NodeJS.ErrnoException>((resolve) => client.socket.once('error', resolve));

      expect(error.code).to.equal('ECONNRESET');
      while (at.closed.length === 0) await sleep(1);
      expect(at.closed).to.deep.equal(['upstream']);
    });

    it('are closed when idle for too long', async () => {
      const { port, listener } = await start({ limits: { idleTimeoutMs: 20 } });
      const client = new RawClient(port).send(BINARY);
      await client.until(has(BINARY));
      while (!client.closed) {
        await sleep(5);
        listener.sweep(performance.now());
      }
      while (at.closed.length === 0) await sleep(1);
      expect(at.closed).to.deep.equal(['idle']);
    });

    it('are closed on both sides when idle after the end of the client', async () => {
      let isClosed = false;
      const { port, listener } = await start({
        limits: { idleTimeoutMs: 20 },
        upstream: (socket) => {
          socket.allowHalfOpen = true;
          socket.on('data', (chunk: Buffer) => socket.write(chunk));
          socket.on('error', () => {});
          socket.on('close', () => (isClosed = true));
        },
      });
      const client = new RawClient(port).send(BINARY);
      await client.until(has(BINARY));
      client.socket.end();
      while (!isClosed) {
        await sleep(5);
        listener.sweep(performance.now());
      }
      while (at.connections() > 0) await sleep(1);
    });

    it('end at the end of the drain', async () => {
      const { port, listener } = await start();
      const client = new RawClient(port).send(BINARY);
      await client.until(has(BINARY));
      const stopped = listener.stop(30);
      await client.send('still').until(has('still'));
      await stopped;

      expect(at.closed).to.deep.equal(['shutdown']);
    });

    it('leave nothing behind whichever side ends them, and when', async () => {
      // Of the whole process.
      const before = INPUT_BUDGET.used;
      const { port, connections, listener } = await start({
        upstream: (socket, nth) => {
          if (nth % 3 === 0) socket.write('hi');
          socket.on('data', (chunk: Buffer) => (nth % 5 === 0 ? socket.destroy() : socket.write(chunk)));
          if (nth % 7 === 0) socket.end();
        },
      });
      const firsts = ['', 'G', 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n', BINARY, '\x16\x03\x01\x02', 'x'.repeat(9000), '\r\n', 'PRI * HT'];
      for (const waitMs of [1, 50, 130]) {
        const sockets = Array.from({ length: 120 }, (_, nth) => {
          const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(firsts[nth % firsts.length] ?? '', 'latin1'));
          return socket.on('error', () => {}).resume();
        });
        await sleep(waitMs);
        sockets.forEach((socket, nth) => {
          if (nth % 3 === 0) socket.resetAndDestroy();
          else if (nth % 3 === 1) socket.end();
          else socket.destroy();
        });
        await sleep(20);
        listener.sweep(performance.now());
        for (const socket of sockets) socket.destroy();
      }
      while (connections() > 0) await sleep(5);
      expect(INPUT_BUDGET.used).to.be.at.most(before);
    });

    it('do not read further than the other side does', async () => {
      const applications: Socket[] = [];
      const { port } = await start({
        upstream: (socket) => {
          applications.push(socket);
          socket.pause();
        },
      });
      const client = new RawClient(port).send(BINARY);
      const total = 64 * 1024 * 1024;
      client.socket.write(Buffer.alloc(total, 1));
      client.socket.end();
      while (applications.length === 0) await sleep(1);
      // What the kernel and the agent hold is far less than what the client wants to send.
      let before = -1;
      while (client.socket.bytesWritten - client.socket.writableLength !== before) {
        before = client.socket.bytesWritten - client.socket.writableLength;
        await sleep(50);
      }
      expect(client.socket.writableLength).to.be.above(0);
      let read = 0;
      applications[0]?.on('data', (bytes: Buffer) => {
        read += bytes.length;
      });
      applications[0]?.resume();
      while (read < BINARY.length + total) await sleep(5);
      client.socket.destroy();
    });
  });
}

describe('connections on a port whose protocol is not known', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage({
      destination: (upstreamPort) => ({
        upstreamHost: '127.0.0.1',
        upstreamPort,
        destinationIp: '10.1.2.3',
        destinationPort: 8080,
        protocol: () => 'detect',
      }),
      ...options,
    });
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });
  const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';

  it('are HTTP when they begin with a request line, in one piece or byte by byte', async () => {
    const { port, records, tcpRecords } = await start();

    expect(await talk(port, GET, has('ok'))).to.match(/^HTTP\/1.1 200/);
    const client = new RawClient(port);
    client.socket.setNoDelay(true);
    for (const byte of GET) {
      client.send(byte);
      await sleep(1);
    }
    expect(await client.until(has('ok'))).to.match(/^HTTP\/1.1 200/);
    expect(await talk(port, GET.replace('/ok', '/no'), has('denied'))).to.match(/^HTTP\/1.1 403/);
    expect(records).to.have.length(3);
    expect(tcpRecords).to.deep.equal([]);
  });

  it('are HTTP when a client was silent, whose HTTP server gave up waiting meanwhile', async () => {
    const chain = filterChainOf([allow('ok', { to: [{ operation: { paths: ['/ok'] } }] }, {})]);
    const { port, seen } = await start({
      filterChain: chain,
      upstream: (socket, nth) => {
        if (nth === 0) socket.end('HTTP/1.1 408 Request Timeout\r\n\r\n');
        else socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
      },
    });
    const client = new RawClient(port);
    while (seen.length === 0) await sleep(1);
    await sleep(20);
    expect(await client.send(GET).until(has('ok'))).to.match(/^HTTP\/1.1 200/);
    expect(seen[0]).to.equal('');
  });

  it('are denied when the TCP rules deny a client that stays silent', async () => {
    const { port, seen, tcpRecords, closed, listener } = await start({ filterChain: NOBODY });
    const client = new RawClient(port);
    while (!client.closed) {
      await sleep(5);
      listener.sweep(performance.now() + LIMITS.undecidedSilence.value - LIMITS.firstByteTime.value);
    }

    expect(tcpRecords[0]).to.include({ outcome: 'deny', details: 'rbac_access_denied_matched_policy[none]', received: 0, sent: 0 });
    expect(closed).to.deep.equal(['refused']);
    expect(seen).to.deep.equal([]);
    expect(client.text).to.equal('');
  });

  it('are closed when a client stays silent without a policy', async () => {
    const { port, tcpRecords, listener } = await start({ notReady: true });
    const client = new RawClient(port);
    while (!client.closed) {
      await sleep(5);
      listener.sweep(performance.now() + LIMITS.undecidedSilence.value);
    }

    expect(tcpRecords[0]).to.include({ outcome: 'closed', details: 'no_policy_bundle' });
  });

  it('are HTTP when a client that the TCP rules deny sends a request in time', async () => {
    const chain = filterChainOf([allow('ok', { to: [{ operation: { paths: ['/ok'] } }] })]);
    const { port, listener, records } = await start({
      filterChain: chain,
      upstream: (socket) => void socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')),
    });
    const client = new RawClient(port);
    await sleep(2 * LIMITS.firstByteTime.value);
    listener.sweep(performance.now() + LIMITS.undecidedSilence.value / 2);

    expect(await client.send(GET).until(has('ok'))).to.match(/^HTTP\/1.1 200/);
    listener.sweep(performance.now() + LIMITS.undecidedSilence.value * 2);
    expect(records).to.have.length(1);
    expect(client.closed).to.equal(false);
  });

  it('are connected when the policy allows a silent client at last', async () => {
    const rules = { current: NOBODY };
    const { port, listener, tcpRecords } = await start({
      filterChain: { ...NOBODY, evaluateConnection: (facts) => rules.current.evaluateConnection(facts) },
      upstream: (socket) => void socket.write('220 mail\r\n'),
    });
    const client = new RawClient(port);
    await sleep(2 * LIMITS.firstByteTime.value);
    rules.current = filterChainOf([]);
    listener.sweep(performance.now() + LIMITS.undecidedSilence.value);

    expect(await client.until(has('220 mail'))).to.equal('220 mail\r\n');
    expect(tcpRecords).to.deep.equal([]);
  });

  it('answer 408 when a request line is not completed in time', async () => {
    const { port, listener } = await start({ limits: { headTimeoutMs: 5 } });
    const client = new RawClient(port).send('GE');
    while (!client.closed) {
      await sleep(5);
      listener.sweep(performance.now());
    }
    expect(client.text).to.match(/^HTTP\/1.1 408 Request Timeout/);
  });

  it('answer 503 to requests without a policy', async () => {
    const { port } = await start({ notReady: true });

    expect(await talk(port, GET, has('policy'))).to.match(/^HTTP\/1.1 503/);
  });
});
