/* Frames found in bytes, however they are split. */
import { expect } from 'chai';
import fc from 'fast-check';
import { FrameReader } from '../../../../src/agent/http2/frame-reader.ts';
import { INPUT_BUDGET } from '../../../../src/agent/net/paused-input.ts';
import { frame, TYPE } from '../../../support/http2-frames.ts';

interface Reading {
  readonly reader: FrameReader;
  readonly events: string[];
}

function reading(): Reading {
  const events: string[] = [];
  let bytes = '';
  const reader = new FrameReader({
    onDataFrame: (id, length, end) => {
      bytes = '';
      events.push(`data ${id} ${length} ${end}`);
    },
    onDataBytes: (buffer, start, end) => {
      bytes += buffer.toString('latin1', start, end);
    },
    onDataFrameEnd: () => events.push(`end ${bytes}`),
    onFrame: ({ type, flags, streamId, buffer, start, end }) =>
      events.push(`frame ${type} ${flags} ${streamId} ${buffer.toString('latin1', start, end)}`),
    onFrameFault: (error) => events.push(`fault ${error}`),
  });
  return { reader, events };
}

/** What `bytes` give in reads that end at `cuts`. */
function read(bytes: Buffer, cuts: readonly number[]): readonly string[] {
  const { reader, events } = reading();
  let from = 0;
  for (const cut of [...cuts, bytes.length].map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b)) {
    const part = Buffer.concat([Buffer.from('xx'), bytes.subarray(from, cut), Buffer.from('y')]);
    reader.read(part, 2, part.length - 1, () => false);
    from = cut;
  }
  return events;
}

const MESSAGES = Buffer.concat([
  frame(TYPE.settings, 0, 0, Buffer.from('abcdef')),
  frame(TYPE.headers, 5, 1, Buffer.from('block')),
  frame(TYPE.data, 0, 3, Buffer.from('some data')),
  frame(TYPE.data, 9, 3, Buffer.from('\x02padded..', 'latin1')),
  frame(TYPE.data, 1, 5),
  frame(TYPE.data, 8, 5, Buffer.from('\0', 'latin1')),
  frame(TYPE.data, 8, 5, Buffer.from('\x03...', 'latin1')),
  frame(0xee, 0xff, 0x7fff_ffff, Buffer.from('unknown')),
]);
const EVENTS = [
  'frame 4 0 0 abcdef',
  'frame 1 5 1 block',
  'data 3 9 false',
  'end some data',
  'data 3 9 true',
  'end padded',
  'data 5 0 true',
  'end ',
  'data 5 1 false',
  'end ',
  'data 5 4 false',
  'end ',
  'frame 238 255 2147483647 unknown',
];

describe('HTTP/2 frames', () => {
  it('are found in one read', () => {
    expect(read(MESSAGES, [])).to.deep.equal(EVENTS);
  });

  it('are found byte by byte', () => {
    expect(read(MESSAGES, Array.from(MESSAGES.keys()))).to.deep.equal(EVENTS);
  });

  it('are found wherever reads end, and leave nothing reserved', () => {
    const before = INPUT_BUDGET.used;
    fc.assert(
      fc.property(fc.array(fc.nat(MESSAGES.length), { maxLength: 6 }), (cuts) => {
        expect(read(MESSAGES, cuts)).to.deep.equal(EVENTS);
      }),
    );
    expect(INPUT_BUDGET.used).to.equal(before);
  });

  for (const [name, bytes, fault] of [
    ['a frame that is too long', frame(TYPE.headers, 0, 1, Buffer.alloc(16_385)), 'fault 6'],
    ['DATA that is too long', frame(TYPE.data, 0, 1, Buffer.alloc(16_385)), 'fault 6'],
    ['padding that is longer than the frame', frame(TYPE.data, 8, 1, Buffer.from('\x05abc', 'latin1')), 'fault 1'],
    ['a padded frame without a length of padding', frame(TYPE.data, 8, 1), 'fault 6'],
  ] as const) {
    it(`refuses ${name}, and reads nothing behind it`, () => {
      for (const cuts of [[], Array.from({ length: 20 }, (_, at) => at)]) {
        const events = read(Buffer.concat([bytes, MESSAGES]), cuts);

        expect(events.filter((event) => event.startsWith('f'))).to.deep.equal([fault]);
      }
    });
  }

  it('stop when the receiver wants a pause, and go on where they stopped', () => {
    const { reader, events } = reading();

    const next = reader.read(MESSAGES, 0, MESSAGES.length, () => events.length === 2);
    expect(events).to.deep.equal(EVENTS.slice(0, 2));
    reader.read(MESSAGES, next, MESSAGES.length, () => false);
    expect(events).to.deep.equal(EVENTS);
  });

  it('keep what is incomplete until the connection is closed', () => {
    const before = INPUT_BUDGET.used;
    const { reader } = reading();
    reader.read(MESSAGES, 0, 12, () => false);

    expect([reader.isWithinFrame, INPUT_BUDGET.used - before]).to.deep.equal([true, 12]);
    reader.stop();
    expect(INPUT_BUDGET.used).to.equal(before);
  });
});
