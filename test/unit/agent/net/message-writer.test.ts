/*
 * How output is batched into writes.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { MessageWriter } from '../../../../src/agent/net/message-writer.ts';
import { type BulkBuffer, keepable, LARGE_BYTES, ReadBuffers } from '../../../../src/agent/net/read-buffers.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

describe('MessageWriter', () => {
  let writes: string[] = [];
  let needsDrain = false;
  let writer: MessageWriter;
  let socket: Socket;
  beforeEach(() => {
    writes = [];
    needsDrain = false;
    socket = {
      write: (chunk: string | Buffer) => writes.push(typeof chunk === 'string' ? chunk : chunk.toString('latin1')),
      get writableNeedDrain() {
        return needsDrain;
      },
    } as unknown as Socket;
    writer = new MessageWriter(socket);
  });

  it('writes a head and a small body in one call', () => {
    writer.write('head');
    writer.writeBytes(Buffer.from('xbodyx'), 1, 5);
    expect(writes).to.deep.equal([]);
    expect(writer.flush()).to.equal(true);
    expect(writes).to.deep.equal(['headbody']);
  });

  it('writes a large body immediately, together with what precedes it', () => {
    const body = Buffer.alloc(20_000, 'b');
    writer.write('head');
    writer.writeBytes(body, 0, body.length);
    body.fill('x');
    expect(writes).to.deep.equal([`head${'b'.repeat(20_000)}`]);
    writer.flush();
    expect(writes).to.have.length(1);
  });

  it('reports that the socket does not keep up', () => {
    needsDrain = true;
    expect(writer.flush()).to.equal(false);
  });

  it('begins with the bytes that another socket did not send', () => {
    for (const unsent of ['\xe9', Buffer.from([0xe9])]) {
      writes = [];
      writer.detach(unsent);
      writer.write('more');
      expect(writer.flush()).to.equal(true);
      writer.attach(socket);
      expect(writes).to.deep.equal(['\xe9more']);
    }
  });

  it('waits for a socket with a number of bytes', () => {
    const waiting = new MessageWriter();
    waiting.write('x'.repeat(LIMITS.unconnectedOutputBytes.value - 1));
    expect(waiting.flush()).to.equal(true);
    waiting.write('x');
    expect(waiting.flush()).to.equal(false);
  });
});

describe('MessageWriter: large reads', () => {
  it('are written from the buffer that they were read into, which is given back when they are written', async () => {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepting = once(server, 'connection');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [reader] = (await accepting) as [Socket];
    const writer = new MessageWriter(socket);
    let last: BulkBuffer | undefined;
    const buffers = new ReadBuffers({
      isPassing: true,
      onBytes: (buffer, length) => {
        last = keepable(buffer);
        writer.writeBytes(buffer, 0, length);
      },
    });
    let sent = 0;
    const read = (length: number): void => {
      buffers.next(() => false);
      buffers.deliver(length);
      sent += length;
    };
    read(LARGE_BYTES);
    // Until the kernel takes no more.
    while (socket.writableLength === 0) read(60_000);
    const kept = last;
    expect(kept?.holders).to.equal(2);
    read(60_000);
    expect(last).not.to.equal(kept);
    expect(kept?.holders).to.equal(1);

    let received = 0;
    reader.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    reader.resume();
    while (received < sent || socket.writableLength > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(kept?.holders).to.equal(0);
    buffers.close();
    socket.destroy();
    reader.destroy();
    server.close();
  });
});
