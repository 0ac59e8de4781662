/*
 * The blocked port resets what comes, counts it and says what to do, without filling the log. Addresses as policies see them.
 */
import { connect } from 'node:net';
import { expect } from 'chai';
import { startBlockedPort } from '../../../../src/agent/listener/blocked-port.ts';
import { systemClock } from '../../../../src/clock.ts';
import type { Logger } from '../../../../src/telemetry/logger.ts';

describe('blocked port', () => {
  it('resets every connection, counts them all, and logs one line per ten seconds', async () => {
    let count = 0;
    let nowMs = 1;
    const lines: Record<string, unknown>[] = [];
    const logger = { warn: (fields: Record<string, unknown>) => lines.push(fields) } as unknown as Logger;
    const clock = { ...systemClock, nowMs: () => nowMs };
    const blocked = await startBlockedPort({ host: '127.0.0.1', port: 0, logger, clock, onBlocked: () => (count += 1) });
    const knock = async (): Promise<void> => {
      const socket = connect(blocked.port, '127.0.0.1');
      socket.on('error', () => {});
      await new Promise((resolve) => socket.on('close', resolve));
    };
    for (let times = 0; times < 3; times += 1) await knock();
    nowMs += 10_000;
    await knock();
    blocked.stop();

    expect(count).to.equal(4);
    expect(lines.map((line) => line['connections'])).to.deep.equal([1, 3]);
    expect(lines[0]).to.include({ clientAddress: '127.0.0.1' });
    expect(String(lines[0]?.['hint'])).to.include('sallyport.dev/include-inbound-ports');
  });
});
