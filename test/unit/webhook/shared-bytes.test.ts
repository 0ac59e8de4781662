import { expect } from 'chai';
import { heapBytes, SharedBytes } from '../../../src/webhook/shared-bytes.ts';

const LONG_MS = 60_000;

describe('memory that requests share', () => {
  it('keeps space for small requests', async () => {
    const memory = new SharedBytes(100, 1);

    expect(await Promise.all([memory.take(25), memory.take(25), memory.take(25)])).to.deep.equal([true, true, true]);
    expect(await memory.take(25)).to.equal(false);
    expect(await Promise.all([memory.take(10), memory.take(5), memory.take(5)])).to.deep.equal([true, true, true]);
  });

  it('gives what is released to those that wait and fit, the first one first', async () => {
    const memory = new SharedBytes(100, LONG_MS);
    await Promise.all([memory.take(40), memory.take(35)]);
    const got: number[] = [];
    const waiting = [40, 20, 21].map(async (bytes) => {
      expect(await memory.take(bytes)).to.equal(true);
      got.push(bytes);
    });
    memory.release(35);
    await waiting[1];
    expect(got).to.deep.equal([20]);
    memory.release(40);
    await waiting[0];
    expect(got).to.deep.equal([20, 40]);
    memory.release(40);
    await waiting[2];
    expect(got).to.deep.equal([20, 40, 21]);
  });

  it('knows what no request can have', () => {
    const memory = new SharedBytes(100, 1);

    expect([memory.canHold(75), memory.canHold(76)]).to.deep.equal([true, false]);
  });

  it('counts objects and lists by what they take when they are parsed', () => {
    const sizeOf = (json: string): number => heapBytes(Buffer.from(json));

    expect(sizeOf(`["${'a'.repeat(1_000)}"]`)).to.be.below(1_200);
    expect(sizeOf(`[${'{},'.repeat(1_000)}1]`)).to.be.above(60_000);
    expect(sizeOf(`[${'[],'.repeat(1_000)}1]`)).to.be.above(50_000);
  });
});
