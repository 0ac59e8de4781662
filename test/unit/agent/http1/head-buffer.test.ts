/*
 * The end of a head is found however its bytes arrive.
 */
import { expect } from 'chai';
import { HeadBuffer } from '../../../../src/agent/http1/head-buffer.ts';

describe('HeadBuffer', () => {
  /** The head that `text` begins with, read in pieces of `size`. @returns its text, and how much of `text` was taken */
  function readIn(text: string, size: number, lenient: boolean): readonly [head: string, taken: number] {
    const heads = new HeadBuffer(10_000, lenient);
    const bytes = Buffer.from(text, 'latin1');
    for (let at = 0; at < bytes.length; at += size) {
      const head = heads.take(bytes, at, Math.min(bytes.length, at + size));
      if (head !== '') return [head, heads.next];
    }
    return ['', bytes.length];
  }

  const long = `X: ${'y'.repeat(5000)}`;
  for (const [name, head] of [
    ['CR LF', 'HTTP/1.1 200 OK\r\nX: y\r\n\r\n'],
    ['CR LF, longer than a first look', `HTTP/1.1 200 OK\r\n${long}\r\n\r\n`],
  ] as const) {
    it(`ends a head whose lines end with ${name}`, () => {
      for (const lenient of [false, true]) {
        for (let size = 1; size <= head.length + 4; size += head.length > 100 ? 997 : 1) {
          expect(readIn(`${head}body`, size, lenient)).to.deep.equal([head, head.length]);
        }
      }
    });
  }

  for (const [name, head] of [
    ['LF', 'HTTP/1.1 200 OK\nX: y\n\n'],
    ['LF, longer than a first look', `HTTP/1.1 200 OK\n${long}\n\n`],
    ['LF before CR LF', 'HTTP/1.1 200 OK\nX: y\n\r\n'],
    ['CR LF before LF', 'HTTP/1.1 200 OK\r\nX: y\r\n\n'],
  ] as const) {
    it(`ends a head whose lines end with ${name}, where that is accepted`, () => {
      for (let size = 1; size <= head.length + 4; size += head.length > 100 ? 997 : 1) {
        const [text, taken] = readIn(`${head}body`, size, true);
        expect(text.startsWith(head)).to.equal(true);
        // What else was taken belongs to what follows.
        expect(`${head}body`.startsWith(text)).to.equal(true);
        expect(taken).to.equal(text.length);
      }
      expect(readIn(head, 1, false)[0]).to.equal('');
    });
  }

  it('shows the first bytes of an unfinished head', () => {
    const heads = new HeadBuffer(10_000, true);
    expect(heads.peek(5)).to.equal('');
    for (const part of ['SS', 'H-2.0']) heads.take(Buffer.from(part), 0, part.length);
    expect(heads.peek(5)).to.equal('SSH-2');
  });
});
