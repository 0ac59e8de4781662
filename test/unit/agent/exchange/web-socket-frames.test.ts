/*
 * Where frames of a WebSocket end, and the close frames that the agent adds.
 */
import { expect } from 'chai';
import { clientClose, GOING_AWAY, serverClose, WebSocketFrames } from '../../../../src/agent/exchange/web-socket-frames.ts';

function frame(opcode: number, length: number, masked: boolean): Buffer {
  const header = [0x80 | opcode];
  const mask = masked ? 0x80 : 0;
  if (length < 126) header.push(mask | length);
  else if (length < 65_536) header.push(mask | 126, length >> 8, length & 0xff);
  else header.push(mask | 127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
  return Buffer.concat([Buffer.from(header), Buffer.alloc(length + (masked ? 4 : 0), 'x')]);
}

describe('WebSocketFrames', () => {
  it('can close before the first frame', () => {
    expect(new WebSocketFrames().canClose).to.equal(true);
  });

  for (const length of [0, 1, 125, 126, 65_535, 65_536])
    for (const masked of [false, true])
      it(`can close between frames of ${length} bytes and not within them, masked: ${masked}`, () => {
        const bytes = frame(2, length, masked);
        const frames = new WebSocketFrames();
        for (let at = 0; at < bytes.length; at += 1) {
          frames.read(bytes, at, at + 1);
          expect(frames.canClose).to.equal(at === bytes.length - 1);
        }
        const two = Buffer.concat([bytes, bytes]);
        frames.read(two, 0, two.length);
        expect(frames.canClose).to.equal(true);
        frames.read(two, 0, two.length - 1);
        expect(frames.canClose).to.equal(false);
      });

  it('does not close twice', () => {
    const frames = new WebSocketFrames();
    const close = frame(8, 2, true);
    frames.read(close, 0, close.length);
    expect(frames.canClose).to.equal(false);
  });

  it('closes with 1001, masked towards the application', () => {
    expect([...serverClose(GOING_AWAY)]).to.deep.equal([0x88, 2, 0x03, 0xe9]);
    expect(serverClose({ code: 1008, reason: 'denied' })).to.deep.equal(Buffer.from('\x88\x08\x03\xf0denied', 'latin1'));
    expect([...clientClose(Buffer.from([1, 2, 3, 4]))]).to.deep.equal([0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2]);
  });
});
