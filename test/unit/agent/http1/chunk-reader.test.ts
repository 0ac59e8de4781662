/*
 * The chunk reader: the same result however the bytes arrive, and nothing but the grammar is accepted.
 */
import { expect } from 'chai';
import { ChunkReader } from '../../../../src/agent/http1/chunk-reader.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

/** Reads `text` in pieces of `size`. @returns the final state, what may be forwarded, and how much was consumed */
function readIn(text: string, size: number, lenient = false): { state: string; forwarded: string; consumed: number } {
  const reader = new ChunkReader(lenient);
  const bytes = Buffer.from(text, 'latin1');
  let forwarded = '';
  for (let start = 0; start < bytes.length; start += size) {
    const end = Math.min(bytes.length, start + size);
    for (let at = start; at < end; at = reader.consumedEnd) {
      const state = reader.read(bytes, at, end);
      forwarded += bytes.toString('latin1', at, reader.forwardEnd);
      if (state !== 'more') return { state, forwarded, consumed: reader.consumedEnd };
    }
  }
  return { state: 'more', forwarded, consumed: bytes.length };
}

describe('ChunkReader', () => {
  const whole: readonly (readonly [string, string, string])[] = [
    ['an empty body', '0\r\n\r\n', '0\r\n'],
    ['chunks', '3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n', '3\r\nabc\r\nA\r\n0123456789\r\n0\r\n'],
    ['leading zeroes', '003\r\nabc\r\n000\r\n\r\n', '003\r\nabc\r\n000\r\n'],
    ['twelve digits', '000000000003\r\nabc\r\n000000000000\r\n\r\n', '000000000003\r\nabc\r\n000000000000\r\n'],
    ['extensions, which are left out', '3;a=b;c="d"\r\nabc\r\n0;e\r\n\r\n', '3\r\nabc\r\n0\r\n'],
    ['long extensions', `3;${'x'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`, '3\r\nabc\r\n0\r\n'],
    ['data that looks like framing', '5\r\n\r\n0\r\n\r\n0\r\n\r\n', '5\r\n\r\n0\r\n\r\n0\r\n'],
    ['trailers, which are left out', '1\r\na\r\n0\r\nX: y\r\nZ: \xe9\r\n\r\n', '1\r\na\r\n0\r\n'],
  ];
  for (const [name, text, forwarded] of whole) {
    it(`reads ${name} however its bytes arrive`, () => {
      for (let size = 1; size <= text.length; size += text.length > 1000 ? 4999 : 1) {
        expect(readIn(`${text}GET /`, size)).to.include({ state: 'done', forwarded, consumed: text.length });
      }
    });
  }

  for (const [name, text] of [
    ['no size', '\r\n'],
    ['a size that is no number', 'x\r\n'],
    ['a sign', '+1\r\na\r\n'],
    ['a prefix', '0x1\r\na\r\n'],
    ['a blank before the size', ' 1\r\na\r\n'],
    ['a blank behind the size', '1 \r\na\r\n'],
    ['thirteen digits', '1000000000000\r\n'],
    ['a bare LF behind the size', '1\na\r\n'],
    ['a bare CR behind the size', '1\r\ra'],
    ['a bare LF in an extension', '1;a\nb\r\n'],
    ['a NUL in an extension', '1;\0\r\n'],
    ['more data than announced', '1\r\nab\r\n'],
    ['a bare LF behind data', '1\r\na\n0\r\n\r\n'],
    ['a bare LF behind the last chunk', '0\r\n\n'],
    ['a control byte in a trailer', '0\r\nX: \x01\r\n\r\n'],
    ['a bare LF in a trailer', '0\r\nX: y\nZ: z\r\n\r\n'],
    ['a trailer without a colon', '0\r\nX\r\n\r\n'],
    ['a trailer without a name', '0\r\n: y\r\n\r\n'],
    ['a blank in the name of a trailer', '0\r\nX Y: z\r\n\r\n'],
    ['a folded trailer', '0\r\nX: y\r\n z\r\n\r\n'],
    ['endless extensions', `1;${'a'.repeat(61 * 1024)}\r\n`],
    ['endless trailers', `0\r\n${'X: y\r\n'.repeat(16_000)}\r\n`],
    ['an endless name of a trailer', `0\r\n${'X'.repeat(61 * 1024)}: y\r\n\r\n`],
  ] as const) {
    it(`refuses ${name} however its bytes arrive`, () => {
      for (const size of [1, 2, 3, text.length]) expect(readIn(text, size).state).to.equal('bad');
    });
  }

  // What a response may have beyond the grammar, as Envoy passes it on.
  for (const [name, text, forwarded] of [
    ['whitespace behind a size', '1 \t\r\na\r\n0  \r\n\r\n', '1\r\na\r\n0\r\n'],
    ['whitespace before an extension', '1 ; x = "y"\r\na\r\n0\r\n\r\n', '1\r\na\r\n0\r\n'],
    ['LF at the end of the last line', '1\r\na\r\n0\r\n\n', '1\r\na\r\n0\r\n'],
    ['LF at the end of trailers', '1\r\na\r\n0\r\nX: y\nZ:\n\n', '1\r\na\r\n0\r\n'],
    ['a folded trailer', '1\r\na\r\n0\r\nX: y\r\n z\r\n\r\n', '1\r\na\r\n0\r\n'],
  ] as const) {
    it(`reads ${name} of a response however its bytes arrive`, () => {
      for (let size = 1; size <= text.length; size += 1) {
        expect(readIn(`${text}HTTP`, size, true)).to.include({ state: 'done', forwarded, consumed: text.length });
      }
      expect(readIn(text, text.length).state).to.equal('bad');
    });
  }

  for (const text of ['1\na\r\n', ' 1\r\na\r\n', '1\r\na\n', '1;a\nb\r\n', '1\r\nab\r\n', '0\r\n X: y\r\n\r\n', '0\r\nX Y: z\n\n']) {
    it(`refuses ${JSON.stringify(text)} of a response`, () => {
      expect(readIn(text, 1, true).state).to.equal('bad');
    });
  }

  it('reads as many bytes of extensions and names of trailers as the limit allows, and no more', () => {
    const most = LIMITS.chunkNoiseBytes.value;
    for (const body of [(noise: string) => `1;${noise}\r\na\r\n0\r\n\r\n`, (noise: string) => `1\r\na\r\n0\r\n${noise}:\r\n\r\n`]) {
      expect(readIn(body('x'.repeat(most)), 10_000).state).to.equal('done');
      expect(readIn(body('x'.repeat(most + 1)), 10_000).state).to.equal('bad');
    }
  });

  it('is ready for the next body after reset', () => {
    const reader = new ChunkReader(false);
    for (const body of ['1\r\na\r\n0\r\n\r\n', '0\r\n\r\n']) {
      reader.reset();
      expect(reader.read(Buffer.from(body), 0, body.length)).to.equal('done');
    }
  });
});
