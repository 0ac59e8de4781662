/*
 * TCP connections that are evaluated again when the policy changes, over loopback sockets.
 */
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { CHECK_ALLOWED } from '../../../../src/filters/check-response.ts';
import type { FilterChain } from '../../../../src/filters/filter-chain.ts';
import { allow, authorizer, custom, deny, filterChainOf } from '../../filters/chains.ts';
import { databaseOf, RawClient, type Stage, type StageOptions, stage, until } from '../loopback.ts';

const has = (part: string) => (text: string) => text.includes(part);

let at: Stage;

async function start(options: StageOptions): Promise<void> {
  at = await stage({ reevaluate: true, ...options });
}

describe('live TCP connections', () => {
  afterEach(async () => {
    await at.stop();
  });

  const tcp = (filterChain: FilterChain, upstream: (socket: Socket) => void): StageOptions => ({
    filterChain,
    upstream,
    destination: databaseOf('tcp'),
  });
  const everybody = filterChainOf([allow('all', {})]);
  const nobody = filterChainOf([deny('shut', { from: [{ source: { ipBlocks: ['0.0.0.0/0'] } }] }), allow('all', {})]);
  const echo = (socket: Socket): void => void socket.on('data', (chunk: Buffer) => socket.write(chunk));

  it('live on while they are allowed, and are closed when a policy denies them', async () => {
    await start(tcp(everybody, echo));
    const client = new RawClient(at.port).send('\0one');
    await client.until(has('one'));
    at.activate(filterChainOf([allow('all', {}), deny('other', { to: [{ operation: { ports: ['1'] } }] })]));
    await until(() => at.liveStreams?.waiting === 0);
    await client.send('two').until(has('two'));
    at.activate(nobody);
    await client.untilClosed();
    await until(() => at.tcpRecords.length === 1);
    const [record] = at.tcpRecords;
    expect([record?.outcome, record?.revoked, record?.decision?.rule?.source?.name]).to.deep.equal(['deny', 'denied', 'shut']);
    await until(() => at.closed.length === 1);
    expect(at.closed).to.deep.equal(['revoked']);
    expect(at.liveStreams?.size).to.equal(0);
  });

  it('are closed while the client of a server that speaks first is silent', async () => {
    await start(tcp(everybody, (socket) => void socket.write('hello')));
    const client = new RawClient(at.port);
    await client.until(has('hello'));
    at.activate(nobody);
    await client.untilClosed();
    await until(() => at.tcpRecords.length === 1);
    expect(at.tcpRecords[0]?.revoked).to.equal('denied');
  });

  it('leave nothing behind when a client speaks after the server, whatever the policy was in between', async () => {
    await start(
      tcp(everybody, (socket) => {
        socket.write('hello');
        echo(socket);
      }),
    );
    const client = new RawClient(at.port);
    await client.until(has('hello'));
    at.activate(filterChainOf([allow('all', {}), deny('other', { to: [{ operation: { ports: ['1'] } }] })]));
    await client.send('\0one').until(has('one'));
    expect(at.liveStreams?.size).to.equal(1);
    client.socket.destroy();
    await until(() => at.tcpRecords.length === 1);
    expect([at.tcpRecords[0]?.revoked, at.liveStreams?.size]).to.deep.equal([undefined, 0]);
  });

  it('live on with the answer of a server that was asked, which is not asked again', async () => {
    let asked = 0;
    const mesh = { extensionProviders: [authorizer('first')] };
    const asks = (...others: readonly object[]): FilterChain =>
      filterChainOf([allow('all', {}), custom('ask', 'first', {}), ...others], { mesh });
    const extAuthz: StageOptions['extAuthz'] = () => {
      asked += 1;
      return Promise.resolve(CHECK_ALLOWED);
    };
    await start({ ...tcp(asks(), echo), extAuthz });
    const client = new RawClient(at.port).send('\0one');
    await client.until(has('one'));
    at.activate(asks(deny('other', { to: [{ operation: { ports: ['1'] } }] })));
    await until(() => at.liveStreams?.waiting === 0);
    await client.send('two').until(has('two'));
    at.activate(asks(deny('shut', { from: [{ source: { ipBlocks: ['0.0.0.0/0'] } }] })));
    await client.untilClosed();
    await until(() => at.tcpRecords.length === 1);
    expect([at.tcpRecords[0]?.revoked, asked]).to.deep.equal(['denied', 1]);
  });

  it('are closed when an ext_authz server would have to be asked, and when no policy is active', async () => {
    await start(tcp(everybody, echo));
    for (const next of [
      filterChainOf([allow('all', {}), custom('ask', 'first', {})], { mesh: { extensionProviders: [authorizer('first')] } }),
      undefined,
    ]) {
      at.activate(everybody);
      const client = new RawClient(at.port).send('\0one');
      await client.until(has('one'));
      at.activate(next);
      await client.untilClosed();
    }
    await until(() => at.tcpRecords.length === 2);
    expect(at.tcpRecords.map(({ revoked, outcome }) => [revoked, outcome])).to.deep.equal([
      ['ext-authz', 'deny'],
      ['no-policy', 'closed'],
    ]);
  });
});
