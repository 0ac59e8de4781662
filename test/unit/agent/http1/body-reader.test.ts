/*
 * Where a body ends, for each kind of length.
 */
import { expect } from 'chai';
import { BodyReader } from '../../../../src/agent/http1/body-reader.ts';
import { RAW_CHUNKS, UNKNOWN_LENGTH } from '../../../../src/http/stream.ts';

describe('BodyReader', () => {
  const read = (reader: BodyReader, text: string): readonly [string, string, number] => {
    const bytes = Buffer.from(text);
    const state = reader.read(bytes, 0, bytes.length);
    return [state, bytes.toString('latin1', 0, reader.dataEnd), reader.next];
  };

  it('ends a body of known length where it ends, over several reads', () => {
    const reader = new BodyReader(false);
    reader.start(5);
    expect(read(reader, 'abc')).to.deep.equal(['more', 'abc', 3]);
    expect(read(reader, 'deGET')).to.deep.equal(['done', 'de', 2]);
  });

  it('passes chunks on with their framing, and stops behind the final line', () => {
    const reader = new BodyReader(false);
    reader.start(RAW_CHUNKS);
    expect(read(reader, '3\r\nabc\r\n0\r\nT: u\r\n\r\nGET')).to.deep.equal(['done', '3\r\nabc\r\n0\r\n', 19]);
  });

  it('never ends a body of unknown length', () => {
    const reader = new BodyReader(false);
    reader.start(UNKNOWN_LENGTH);
    expect(read(reader, 'abc')).to.deep.equal(['more', 'abc', 3]);
    expect(read(reader, 'def')).to.deep.equal(['more', 'def', 3]);
  });

  it('reads the next body after start', () => {
    const reader = new BodyReader(false);
    reader.start(RAW_CHUNKS);
    read(reader, '1\r\na\r\n');
    reader.start(1);
    expect(read(reader, 'xy')).to.deep.equal(['done', 'x', 1]);
  });
});
