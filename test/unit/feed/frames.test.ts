import { expect } from 'chai';
import { FrameReader, frameHead } from '../../../src/feed/frames.ts';
import { parseReport, parseUnknownKeys } from '../../../src/feed/parse-report.ts';
import { type AgentReport, encodeReport, encodeUnknownKeys, UNKNOWN_KEY_BYTES } from '../../../src/feed/protocol.ts';

const frame = (type: number, payload: string): Buffer => Buffer.concat([frameHead(type, payload.length), Buffer.from(payload)]);
const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('FrameReader', () => {
  const all = Buffer.concat([frame(0, ''), frame(1, 'hello'), frame(2, 'x'.repeat(1000)), frame(255, 'end')]);

  for (const size of [1, 2, 3, 5, 7, 1024, all.length]) {
    it(`puts frames together from chunks of ${size} bytes`, () => {
      const reader = new FrameReader(1000);
      const frames = [];
      for (let at = 0; at < all.length; at += size) frames.push(...(reader.push(all.subarray(at, at + size)) ?? []));
      expect(frames.map(({ type, payload }) => [type, payload.toString()])).to.deep.equal([
        [0, ''],
        [1, 'hello'],
        [2, 'x'.repeat(1000)],
        [255, 'end'],
      ]);
    });
  }

  it('copies nothing of frames that arrive together, however many', () => {
    const chunk = Buffer.concat(Array.from({ length: 20 }, () => all));
    const frames = new FrameReader(1000).push(chunk) ?? [];
    expect([frames.length, new Set(frames.map(({ payload }) => payload.buffer))]).to.deep.equal([80, new Set([chunk.buffer])]);
  });

  it('refuses a frame above the limit before it has arrived, and one without a type', () => {
    expect(new FrameReader(10).push(frameHead(1, 11))).to.equal(undefined);
    expect(new FrameReader(10).push(frameHead(1, 10))).to.deep.equal([]);
    expect(new FrameReader(10).push(Buffer.alloc(4))).to.equal(undefined);
    expect(new FrameReader(10).push(Buffer.from('GET / HTTP/1.1\r\n'))).to.equal(undefined);
  });
});

describe('unknown keys', () => {
  const [one, other] = [`remote-${'0'.repeat(16)}`, `remote-${'a'.repeat(16)}`];
  const hash = '0123456789abcdef';

  it('are read as they were written, and take as much as is stated', () => {
    const keys = new Map([
      [one, hash],
      [other, hash],
    ]);
    const payload = encodeUnknownKeys(keys);
    expect(parseUnknownKeys(payload)).to.deep.equal(keys);
    // Braces instead of the last comma.
    expect(payload.length).to.equal(2 * UNKNOWN_KEY_BYTES + 1);
  });

  for (const value of [null, [], 'x', { [one]: 'kid' }, { [one]: 1 }, { 'inline-0000000000000000': hash }, { [one]: hash, x: hash }]) {
    it(`are refused when they are ${JSON.stringify(value).slice(0, 60)}`, () => {
      expect(parseUnknownKeys(Buffer.from(JSON.stringify(value)))).to.equal(undefined);
    });
  }
});

describe('reports of agents', () => {
  it('are read as they were written', () => {
    const reports: readonly AgentReport[] = [
      { digest: '', number: 0, received: 0 },
      { digest: DIGEST, number: 1_700_000_000_000, received: 3, refused: 'SP_BUNDLE_OLDER' },
    ];
    for (const report of reports) expect(parseReport(encodeReport(report))).to.deep.equal(report);
  });

  for (const text of [
    '',
    'null',
    '{}',
    '{"digest":"","number":0}',
    '{"digest":"sha256:0","number":0,"received":0}',
    `{"digest":"${DIGEST}","number":-1,"received":0}`,
    `{"digest":"${DIGEST}","number":1.5,"received":0}`,
    `{"digest":"${DIGEST}","number":1,"received":0,"refused":"<script>"}`,
    `{"digest":"${DIGEST}","number":1,"received":0,"pod":"foo/other"}`,
  ]) {
    it(`are refused when they are ${text === '' ? 'empty' : text.slice(0, 60)}`, () => {
      expect(parseReport(Buffer.from(text))).to.equal(undefined);
    });
  }
});
