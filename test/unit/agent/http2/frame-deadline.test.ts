/* Deadlines of frames and header blocks. */
import { expect } from 'chai';
import { FrameDeadline } from '../../../../src/agent/http2/frame-deadline.ts';
import type { FrameReader } from '../../../../src/agent/http2/frame-reader.ts';
import type { HeaderFrames } from '../../../../src/agent/http2/header-frames.ts';

describe('FrameDeadline', () => {
  const reader = { isWithinFrame: false, isWithinData: false, frames: 0 };
  const blocks = { streamId: 0, sinceMs: 0 };
  const begin = (nowMs: number): FrameDeadline => {
    Object.assign(reader, { isWithinFrame: false, isWithinData: false, frames: 0 });
    Object.assign(blocks, { streamId: 0, sinceMs: 0 });
    return new FrameDeadline(reader as FrameReader, blocks as HeaderFrames, nowMs);
  };

  it('is over when nothing has come for as long as the limit', () => {
    const deadline = begin(1000);

    expect([1099, 1100].map((nowMs) => deadline.isOver(nowMs, 100))).to.deep.equal([false, true]);
  });

  it('is not running between frames', () => {
    const deadline = begin(1000);
    deadline.update(1050);

    expect(deadline.isOver(9000, 100)).to.equal(false);
  });

  it('is not extended by single bytes of a frame, but by the next frame', () => {
    const deadline = begin(1000);
    reader.isWithinFrame = true;
    reader.frames = 1;
    deadline.update(1010);
    deadline.update(1090);
    expect([1109, 1110].map((nowMs) => deadline.isOver(nowMs, 100))).to.deep.equal([false, true]);

    reader.frames = 2;
    deadline.update(1095);
    expect([1194, 1195].map((nowMs) => deadline.isOver(nowMs, 100))).to.deep.equal([false, true]);
  });

  it('is extended by the bytes of a body', () => {
    const deadline = begin(1000);
    Object.assign(reader, { isWithinFrame: true, isWithinData: true });
    deadline.update(1010);
    deadline.update(1090);

    expect([1189, 1190].map((nowMs) => deadline.isOver(nowMs, 100))).to.deep.equal([false, true]);
  });

  it('counts a header block of many frames from its first', () => {
    const deadline = begin(1000);
    Object.assign(blocks, { streamId: 1, sinceMs: 1005 });
    deadline.update(1090);

    expect([1104, 1105].map((nowMs) => deadline.isOver(nowMs, 100))).to.deep.equal([false, true]);
  });
});
