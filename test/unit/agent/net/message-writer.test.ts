/*
 * How output is batched into writes.
 */
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { MessageWriter } from '../../../../src/agent/net/message-writer.ts';

describe('MessageWriter', () => {
  let writes: string[] = [];
  let needsDrain = false;
  let writer: MessageWriter;
  beforeEach(() => {
    writes = [];
    needsDrain = false;
    const socket = {
      write: (chunk: string | Buffer) => writes.push(typeof chunk === 'string' ? chunk : chunk.toString('latin1')),
      get writableNeedDrain() {
        return needsDrain;
      },
    };
    writer = new MessageWriter(socket as unknown as Socket);
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
});
