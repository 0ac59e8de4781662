/*
 * One port for all connections: each leads to the address and port that its client connected to, if that is one of this pod.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { CaptureOptions } from '../../../../src/agent/listener/destinations.ts';
import { type OriginalDestination, openOriginalDestination } from '../../../../src/agent/listener/original-destination.ts';
import { OwnAddresses } from '../../../../src/agent/listener/own-addresses.ts';
import { addressesOfHost } from '../../../../src/agent/net/host-addresses.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import type { Logger } from '../../../../src/telemetry/logger.ts';
import { RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';
const POD = '10.9.8.7';
const has = (part: string) => (text: string) => text.includes(part);

describe('captured connections', () => {
  let at: Stage | undefined;
  let refused = 0;
  let lines: Record<string, unknown>[] = [];
  const logger = { warn: (fields: Record<string, unknown>) => lines.push(fields) } as unknown as Logger;
  /** A stage whose connections have the destination that `original` returns; undefined: none. */
  const start = async (
    original: (upstreamPort: number) => OriginalDestination | undefined,
    options: StageOptions = {},
    over: Partial<CaptureOptions> = {},
  ): Promise<Stage> => {
    refused = 0;
    lines = [];
    at = await stage({
      ...options,
      destination: (upstreamPort) => ({
        reader: { read: () => original(upstreamPort) },
        ownPorts: [15_006, 15_020],
        logger,
        protocolOf: () => 'http',
        onRefused: () => {
          refused += 1;
        },
        hostAddresses: () => [{ address: POD, host: '127.0.0.1' }],
        ...over,
      }),
    });
    return at;
  };
  afterEach(async () => {
    await at?.stop();
  });

  it('lead to the port that the client connected to, which policies see', async () => {
    const { port, upstreamPort, records } = await start((upstream) => ({ address: POD, port: upstream }));

    expect(await talk(port, GET, has('ok'))).to.match(/^HTTP\/1.1 200/);
    expect(records[0]?.destinationPort).to.equal(upstreamPort);
  });

  const refusals: readonly (readonly [string, OriginalDestination | undefined, RegExp])[] = [
    ['were not redirected', undefined, /was not redirected/],
    ['lead to the port of the agent itself', { address: POD, port: 15_006 }, /port 15006 is the agent's own/],
    ['lead to the admin port', { address: POD, port: 15_020 }, /port 15020 is the agent's own/],
    ['lead to another host', { address: '10.9.8.8', port: 80 }, /10.9.8.8 is not an address of this pod/],
    ['lead to the loopback address', { address: '127.0.0.1', port: 80 }, /127.0.0.1 is not an address of this pod/],
  ];
  for (const [name, destination, reason] of refusals) {
    it(`are reset, counted and logged once in a while when they ${name}`, async () => {
      const { port, seen } = await start(() => destination);

      for (const nth of [1, 2, 3]) {
        expect(await talk(port, GET)).to.equal('');
        expect(refused).to.equal(nth);
      }
      expect(seen).to.deep.equal([]);
      expect(lines).to.have.length(1);
      expect(lines[0]).to.include({ clientAddress: '127.0.0.1', connections: 1, ...destination });
      expect(String(lines[0]?.['reason'])).to.match(reason);
    });
  }

  it('get 503 for every request when original destinations cannot be read', async () => {
    const { port, records, seen } = await start(() => undefined, {}, { reader: { problem: 'no module' } });

    expect(await talk(port, GET, has('destination'))).to.match(/^HTTP\/1.1 503 [^]*the agent cannot read the original destination$/);
    expect(records[0]).to.deep.include({ status: 503, details: 'no_original_destination' });
    expect(seen).to.deep.equal([]);
  });

  it('are refused beyond the limit of destinations with open connections, and accepted when one is free again', async () => {
    let next = 0;
    const { port, connections } = await start(() => ({ address: POD, port: 20_000 + (next += 1) }));
    const clients = Array.from({ length: LIMITS.destinations.value }, () => new RawClient(port));
    while (connections() < clients.length) await sleep(1);

    expect(await talk(port, 'x\r\n\r\n')).to.equal('');
    expect(String(lines[0]?.['reason'])).to.equal('connections to too many ports are open');
    clients[7]?.socket.destroy();
    while (connections() === clients.length) await sleep(1);
    expect(await talk(port, 'x\r\n\r\n')).to.match(/^HTTP\/1.1 400/);
    for (const { socket } of clients) socket.destroy();
  });
});

describe('openOriginalDestination', () => {
  it('says why it cannot read when Node.js has no node:ffi, or one that fails', () => {
    expect(openOriginalDestination(() => undefined)).to.deep.equal({ problem: `this Node.js (${process.version}) has no module node:ffi` });
    const failing = {
      dlopen: () => {
        throw new Error('forbidden');
      },
      getRawPointer: () => 0n,
    };
    expect(openOriginalDestination(() => failing)).to.deep.equal({ problem: 'node:ffi cannot call getsockopt: forbidden' });
  });
});

describe('OwnAddresses', () => {
  it('finds an address that was added later, and looks it up once in a period', () => {
    let lookups = 0;
    const addresses = [{ address: '10.0.0.1', host: '10.0.0.1' }];
    const own = new OwnAddresses(() => {
      lookups += 1;
      return addresses;
    });

    expect(own.connectable('10.0.0.1', 1)).to.equal('10.0.0.1');
    expect(own.connectable('fe80::1', 2)).to.equal(undefined);
    addresses.push({ address: 'fe80::1', host: 'fe80::1%eth0' });
    expect(own.connectable('fe80::1', 3)).to.equal(undefined);
    expect(lookups).to.equal(1);
    expect(own.connectable('fe80::1', 1 + LIMITS.ownAddressLookup.value)).to.equal('fe80::1%eth0');
    expect(own.connectable('10.0.0.1', 1 + LIMITS.ownAddressLookup.value)).to.equal('10.0.0.1');
  });

  it('has no loopback address of this host', () => {
    const addresses = addressesOfHost().map(({ address }) => address);

    expect(addresses).not.to.include('127.0.0.1');
    expect(addresses).not.to.include('::1');
  });
});
