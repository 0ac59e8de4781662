/*
 * TCP connections whose peers are known by their addresses: also those of clients that are silent, and in the record.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import type { FilterChain } from '../../../../src/filters/filter-chain.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import type { ConnectionFacts, PeerIdentity } from '../../../../src/policy/facts.ts';
import { allow, filterChainOf } from '../../filters/chains.ts';
import { databaseOf, RawClient, type Stage, stage, until } from '../loopback.ts';

const PEER: PeerIdentity = { uris: ['spiffe://cluster.local/ns/shop/sa/friend'], dnsNames: [], subject: '' };
const HELLO = '220 mail\r\n';
const speakFirst = (socket: Socket): void => void socket.write(HELLO);

describe('TCP connections of pods that are known by their addresses', () => {
  let at: Stage;
  const asked: ConnectionFacts[] = [];
  const allowing = (account: string, more: object = {}): FilterChain =>
    filterChainOf([allow('a', { from: [{ source: { serviceAccounts: [account] } }], ...more })], {
      mesh: { peerIdentity: { podIP: true } },
      podIdentity: (connection) => {
        asked.push(connection);
        return PEER;
      },
    });
  const start = async (protocol: 'tcp' | 'detect', filterChain: FilterChain, upstream: (socket: Socket) => void): Promise<void> => {
    asked.length = 0;
    at = await stage({
      filterChain,
      upstream,
      destination: databaseOf(protocol),
    });
  };
  afterEach(async () => {
    await at.stop();
  });

  for (const protocol of ['tcp', 'detect'] as const) {
    it(`are allowed and recorded by it while the client is silent on a port of protocol ${protocol}`, async () => {
      await start(protocol, allowing('shop/friend'), speakFirst);
      const client = new RawClient(at.port);
      await client.until((text) => text === HELLO);
      client.socket.resetAndDestroy();
      await until(() => at.tcpRecords.length === 1);
      expect(at.tcpRecords[0]?.facts).to.deep.include({ peer: PEER, peerGrade: 'pod-ip' });
    });
  }

  it('are recorded with it when a silent client of an undeclared port is denied', async () => {
    await start('detect', allowing('shop/other'), speakFirst);
    const client = new RawClient(at.port);
    while (!client.closed) {
      await sleep(5);
      at.listener.sweep(performance.now() + LIMITS.undecidedSilence.value - LIMITS.firstByteTime.value);
    }
    const [record] = at.tcpRecords;
    expect(record).to.include({ outcome: 'deny' });
    expect(record?.facts).to.deep.include({ peer: PEER, peerGrade: 'pod-ip' });
  });

  it('are allowed by it when the policy allows a silent client at last', async () => {
    const rules = { current: allowing('shop/other') };
    const chain: FilterChain = {
      ...rules.current,
      identify: (facts) => rules.current.identify(facts),
      evaluateConnection: (facts) => rules.current.evaluateConnection(facts),
    };
    await start('detect', chain, speakFirst);
    const client = new RawClient(at.port);
    await until(() => asked.length > 0);
    rules.current = allowing('shop/friend');
    at.listener.sweep(performance.now() + LIMITS.undecidedSilence.value);
    expect(await client.until((text) => text === HELLO)).to.equal(HELLO);
  });

  it('are asked for as one connection before and after a ClientHello', async () => {
    const named = { when: [{ key: 'connection.sni', values: ['open.example'] }] };
    await start('tcp', allowing('shop/friend', named), () => {});
    const { socket } = new RawClient(at.port);
    await until(() => asked.length === 1);
    connectTls({ socket, servername: 'open.example' }).on('error', () => {});
    await until(() => at.seen.some((text) => text.includes('open.example')));
    socket.destroy();
    await until(() => at.tcpRecords.length === 1);
    expect(at.tcpRecords[0]?.facts).to.deep.include({ sni: 'open.example', peer: PEER });
    expect([asked.length, new Set(asked).size]).to.deep.equal([2, 1]);
  });
});
