/* Parsing of watch events from chunks of bytes. */
import { expect } from 'chai';
import { BrokenLineError, readWatchEvents } from '../../../src/cluster/watch-lines.ts';

const EVENTS = [
  { type: 'ADDED', object: { metadata: { name: 'grüße-🚢' } } },
  { type: 'BOOKMARK', object: { metadata: { resourceVersion: '5' } } },
];
const BYTES = Buffer.from(EVENTS.map((event) => `${JSON.stringify(event)}\n`).join(''));

async function read(chunks: readonly Uint8Array[]): Promise<{ events: unknown[]; arrivals: number }> {
  const events: unknown[] = [];
  let arrivals = 0;
  for await (const event of readWatchEvents(ReadableStream.from(chunks) as ReadableStream<Uint8Array>, () => (arrivals += 1)))
    events.push(event);
  return { events, arrivals };
}

describe('readWatchEvents', () => {
  it('yields the same events for any split into chunks', async () => {
    for (let cut = 0; cut <= BYTES.length; cut += 1) {
      const { events, arrivals } = await read([BYTES.subarray(0, cut), BYTES.subarray(cut)]);
      expect(events).to.deep.equal(EVENTS);
      expect(arrivals).to.equal(2);
    }
    const single = await read([...BYTES].map((byte) => Uint8Array.of(byte)));
    expect(single.events).to.deep.equal(EVENTS);
  });

  it('ignores an incomplete last line and empty lines', async () => {
    expect((await read([BYTES, Buffer.from('\r\n\n{"type":"ADDED","object":{}}')])).events).to.deep.equal(EVENTS);
  });

  for (const line of ['{', 'null', '[]', '{"type":"ADDED"}', '{"type":"ADDED","object":[]}', '{"type":"OTHER","object":{}}', '"ADDED"']) {
    it(`throws at ${line}`, async () => {
      let thrown: unknown;
      await read([BYTES, Buffer.from(`${line}\n`)]).catch((error: unknown) => {
        thrown = error;
      });
      expect(thrown).to.be.instanceOf(BrokenLineError);
    });
  }

  it('throws at an endless line instead of filling the memory', async () => {
    const chunk = new Uint8Array(1024 * 1024).fill(0x20);
    let thrown: unknown;
    await read(Array.from({ length: 20 }, () => chunk)).catch((error: unknown) => {
      thrown = error;
    });
    expect(thrown).to.be.instanceOf(BrokenLineError);
  });
});
