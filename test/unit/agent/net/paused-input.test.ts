/*
 * Bytes of a client that are kept while nothing is wanted.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { INPUT_BUDGET, PausedInput } from '../../../../src/agent/net/paused-input.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

class FakeSocket extends EventEmitter {
  reading = true;
  writes = 0;
  writable = true;
  writableLength = 0;
  pause(): void {
    this.reading = false;
  }
  resume(): void {
    this.reading = true;
  }
  write(): void {
    this.writes += 1;
  }
}

describe('PausedInput', () => {
  let socket: FakeSocket;
  let input: PausedInput;
  let usedBefore = 0;
  beforeEach(() => {
    usedBefore = INPUT_BUDGET.used;
    socket = new FakeSocket();
    input = new PausedInput(socket as unknown as Socket);
  });
  afterEach(() => {
    input.close();
    expect(INPUT_BUDGET.used).to.equal(usedBefore);
  });

  const keep = (text: string): boolean => input.keep(Buffer.from(`[${text}]`), 1, text.length + 1);

  it('keeps bytes in order and continues reading', () => {
    keep('ab');
    keep('c');
    expect(input.isHolding).to.equal(true);
    expect(input.kept.toString()).to.equal('abc');
    expect(socket.reading).to.equal(true);
    expect(input.release()?.toString()).to.equal('abc');
    expect(input.isHolding).to.equal(false);
    expect(input.release()).to.equal(undefined);
  });

  it('stops reading beyond its limit, until the bytes are released', () => {
    keep('x'.repeat(LIMITS.pausedInputBytes.value));
    expect(socket.reading).to.equal(true);
    keep('x');
    expect(socket.reading).to.equal(false);
    input.resume();
    expect(socket.reading).to.equal(false);
    input.release();
    expect(socket.reading).to.equal(true);
  });

  it('takes back what it released', () => {
    keep('abcdef');
    const rest = input.release() as Buffer;
    input.keep(rest, 2, 6);
    keep('gh');
    expect(input.release()?.toString()).to.equal('cdefgh');
  });

  it('keeps no large buffer for a small rest of what it released', () => {
    keep('x'.repeat(30_000));
    for (const bytes of [20_000, 9_000, 6_000, 100, 99, 1]) {
      const rest = input.release() as Buffer;
      input.keep(rest, rest.length - bytes, rest.length);
      expect(input.kept.toString()).to.equal('x'.repeat(bytes));
      expect(input.kept.buffer.byteLength).to.be.at.most(2 * (INPUT_BUDGET.used - usedBefore));
    }
  });

  it('keeps nothing when the process keeps too much', () => {
    const used = INPUT_BUDGET.max - usedBefore - 2;
    INPUT_BUDGET.reserve(used);
    expect(keep('ab')).to.equal(true);
    expect(keep('c')).to.equal(false);
    INPUT_BUDGET.release(used);
  });

  it('reads on while paused, as far as the limit allows', async () => {
    input.pause();
    expect(socket.reading).to.equal(false);
    while (!socket.reading) await sleep(1);
    expect(input.isPaused).to.equal(true);
  });

  it('writes nothing to a socket that cannot be read further, which fails when the peer has reset it', async () => {
    keep('x'.repeat(LIMITS.searchedInputBytes.value + 1));
    while (socket.writes < 2) await sleep(1);
    expect(socket.reading).to.equal(false);
  });

  it('reads further to find the end behind what is kept, within a limit', async () => {
    keep('x'.repeat(LIMITS.pausedInputBytes.value + 1));
    expect(socket.reading).to.equal(false);
    while (!socket.reading) await sleep(1);
    keep('x'.repeat(LIMITS.pausedInputBytes.value));
    expect(socket.reading).to.equal(true);
    keep('x'.repeat(LIMITS.searchedInputBytes.value));
    expect(socket.reading).to.equal(false);
    input.release();
    keep('x'.repeat(LIMITS.pausedInputBytes.value + 1));
    expect(socket.reading).to.equal(false);
  });

  it('does not read further for a client that does not read, or when clients have much in memory', async () => {
    const used = INPUT_BUDGET.max / 8 + 1 - usedBefore;
    INPUT_BUDGET.reserve(used);
    keep('x'.repeat(LIMITS.pausedInputBytes.value + 1));
    while (socket.writes < 2) await sleep(1);
    expect(socket.reading).to.equal(false);
    INPUT_BUDGET.release(used);
    socket.writableLength = 1;
    await sleep(3 * LIMITS.stoppedSocketWatch.value);
    expect(socket.reading).to.equal(false);
  });
});
