import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { ClientOutput } from '../../../../src/agent/net/client-output.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

/** A socket whose client reads when the test says so. */
class SlowSocket extends Writable {
  readonly #waiting: (() => void)[] = [];

  constructor() {
    super({ highWaterMark: 1000, decodeStrings: false });
  }

  override _write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
    this.#waiting.push(callback);
  }

  /** The client reads what is being written. */
  read(): void {
    this.#waiting.shift()?.();
  }
}

/** Uses up what all clients share; returns a function that ends this. */
function useUp(): () => void {
  const socket = new SlowSocket();
  const output = new ClientOutput(socket as unknown as Socket, () => {});
  socket.write('x'.repeat(LIMITS.clientOutputBudget.value));
  output.update();
  return () => output.release();
}

describe('output of a client', () => {
  let socket: SlowSocket;
  let output: ClientOutput;
  let read: boolean[];

  beforeEach(() => {
    read = [];
    socket = new SlowSocket();
    output = new ClientOutput(socket as unknown as Socket, () => read.push(output.update()));
    socket.on('drain', () => read.push(output.update()));
  });
  afterEach(() => output.release());

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const write = (bytes: number): boolean => {
    socket.write('x'.repeat(bytes));
    return output.update();
  };

  it('keeps up while little waits', () => {
    expect([write(500), output.isFull]).to.deep.equal([true, false]);
  });

  it('is full beyond the buffer of the socket, until everything was read', async () => {
    expect([write(600), write(600), output.isFull]).to.deep.equal([true, false, true]);
    for (let reads = 0; reads < 2; reads += 1) {
      expect(read).to.deep.equal([]);
      socket.read();
      await turn();
    }
    expect([read, output.isFull]).to.deep.equal([[true], false]);
  });

  it('is full when all clients together do not keep up, and reports when this one has read everything', async () => {
    const end = useUp();
    expect([write(10), output.isFull]).to.deep.equal([false, true]);
    socket.read();
    await turn();
    expect(read).to.deep.equal([]);
    socket.read();
    await turn();
    end();
    expect([read, output.isFull]).to.deep.equal([[true], false]);
  });

  it('reports it also when more was written meanwhile', async () => {
    const end = useUp();
    expect(write(10)).to.equal(false);
    socket.read();
    await turn();
    // Behind the write that asks, which is being made.
    expect(write(10)).to.equal(false);
    for (let reads = 0; reads < 3; reads += 1) {
      socket.read();
      await turn();
    }
    end();
    expect(read.at(-1)).to.equal(true);
    expect(output.isFull).to.equal(false);
  });

  it('writes nothing more to a socket that ends', async () => {
    const errors: Error[] = [];
    socket.on('error', (error) => errors.push(error));
    const end = useUp();
    write(10);
    socket.read();
    await turn();
    write(10);
    socket.end();
    for (let reads = 0; reads < 3; reads += 1) {
      socket.read();
      await turn();
    }
    end();
    expect([errors, socket.writableFinished]).to.deep.equal([[], true]);
  });

  it('gives back what waited once, however often it is asked afterwards', async () => {
    write(10);
    socket.read();
    await turn();
    for (let times = 0; times < 20; times += 1) output.update();
    const end = useUp();
    expect(write(10)).to.equal(false);
    end();
  });

  it('reports a client that reads nothing for as long as it is patient', () => {
    expect(output.isUnread(0, 10)).to.equal(false);
    write(10);
    expect([output.isUnread(100, 10), output.isUnread(109, 10), output.isUnread(110, 10)]).to.deep.equal([false, false, true]);
    write(10);
    expect(output.isUnread(111, 10)).to.equal(false);
  });
});
