import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Assembled,
  encodeParts,
  fitsMessage,
  type Held,
  heldAfter,
  MAX_KEPT_BYTES,
  MAX_MESSAGE_PARTS,
  MIN_PART_BYTES,
  type PartedFile,
  PartStore,
  partDigest,
} from '../../../src/feed/parts.ts';

const MAX = 4 * 1024 * 1024;
const NOTHING: Held = new Set();

const partOf = (text: string): PartedFile['parts'][number] => {
  const bytes = Buffer.from(text);
  return { size: bytes.length, digest: bytes.length < MIN_PART_BYTES ? '' : partDigest(bytes), bytes: () => bytes };
};
const fileOf = (name: string, ...texts: readonly string[]): PartedFile => ({ name, parts: texts.map(partOf) });
const textsOf = (assembled: Assembled): unknown =>
  assembled.kind === 'files'
    ? Object.fromEntries(Object.entries(assembled.files).map(([name, bytes]) => [name, Buffer.from(bytes).toString()]))
    : assembled;
const long = (letter: string, length = MIN_PART_BYTES): string => letter.repeat(length);
const raw = (head: unknown, body = ''): Buffer => Buffer.from(`${JSON.stringify(head)}\n${body}`);

describe('bundles in parts', () => {
  it('leave out what the message before had, and arrive as the exact bytes', () => {
    const store = new PartStore();
    const first = [fileOf('0/part', '{', long('a'), ',', long('b'), '}'), fileOf('0/keys', long('k'))];
    expect(textsOf(store.assemble(encodeParts(first, NOTHING), MAX))).to.deep.equal({
      '0/part': `{${long('a')},${long('b')}}`,
      '0/keys': long('k'),
    });
    const second = [fileOf('0/part', '{', long('a'), ',', long('c'), '}'), fileOf('0/keys', long('k'))];
    const message = encodeParts(second, heldAfter(first));
    expect(message.includes(long('a'))).to.equal(false);
    expect(message.includes(long('k'))).to.equal(false);
    expect(textsOf(store.assemble(message, MAX))).to.deep.equal({ '0/part': `{${long('a')},${long('c')}}`, '0/keys': long('k') });
  });

  it('are the same at both ends in any order of messages, also beyond what is kept', () => {
    const text = fc.tuple(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc.constantFrom(1, MIN_PART_BYTES - 1, MIN_PART_BYTES, 5_000, MAX_KEPT_BYTES / 2),
    );
    const files = fc.array(fc.array(text, { maxLength: 5 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(files, { minLength: 1, maxLength: 5 }), (messages) => {
        const store = new PartStore();
        let held = NOTHING;
        for (const message of messages) {
          const parted = message.map((parts, at) => fileOf(`${at}`, ...parts.map(([letter, length]) => long(letter, length))));
          const assembled = store.assemble(encodeParts(parted, held), 64 * MAX);
          const whole = Object.fromEntries(
            parted.map(({ name, parts }) => [name, parts.map((part) => Buffer.from(part.bytes()).toString()).join('')]),
          );
          expect(textsOf(assembled)).to.deep.equal(whole);
          held = heldAfter(parted);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('say that a part is missing, and keep what is there', () => {
    const store = new PartStore();
    const first = [fileOf('f', long('a'))];
    store.assemble(encodeParts(first, NOTHING), MAX);
    const other = [fileOf('f', long('b'))];
    expect(store.assemble(encodeParts(other, heldAfter(other)), MAX)).to.deep.equal({ kind: 'missing' });
    expect(textsOf(store.assemble(encodeParts(first, heldAfter(first)), MAX))).to.deep.equal({ f: long('a') });
    store.clear();
    expect(store.assemble(encodeParts(first, heldAfter(first)), MAX)).to.deep.equal({ kind: 'missing' });
  });

  it('are refused beyond the limits, and in every other form', () => {
    const store = new PartStore();
    store.assemble(encodeParts([fileOf('f', long('a', 1000))], NOTHING), MAX);
    const known = partDigest(long('a', 1000));
    const reasons = [
      raw([['f', Array.from({ length: MAX_MESSAGE_PARTS + 1 }, () => 0)]]),
      raw(Array.from({ length: 33 }, () => ['f', []])),
      raw([['f', Array.from({ length: 5 }, () => known)]]),
      raw([['f', [5]]], 'four'),
      raw([['f', [4]]], 'fours'),
      raw([['f', [-1]]]),
      raw([['f', [1.5]]]),
      raw([['f', ['sha256:abc']]]),
      raw([['f']]),
      raw([[7, []]]),
      raw({}),
      Buffer.from('[[]'),
      Buffer.from(''),
      Buffer.from('[]'),
    ].map((message) => store.assemble(message, 4_999));
    expect(reasons.map((one) => (one.kind === 'invalid' ? one.reason : one.kind))).to.deep.equal([
      'there are too many parts',
      'the list of files is invalid or too long',
      'the files are too large',
      'a part is longer than the message',
      'there are bytes behind the last part',
      'a part is neither a digest nor a size',
      'a part is neither a digest nor a size',
      'a part is neither a digest nor a size',
      'a file is invalid',
      'a file is invalid',
      'the list of files is invalid or too long',
      'the list of parts is not JSON',
      'the list of parts is not JSON',
      'the list of parts is not JSON',
    ]);
  });

  it('fit in a message up to its limits', () => {
    const one = fileOf('f', 'x');
    expect(fitsMessage([one], 1)).to.equal(true);
    expect(fitsMessage([one], 0)).to.equal(false);
    expect(fitsMessage([{ name: 'f', parts: Array.from({ length: MAX_MESSAGE_PARTS + 1 }, () => partOf('')) }], 1)).to.equal(false);
    expect(
      fitsMessage(
        Array.from({ length: 33 }, () => fileOf('f')),
        1,
      ),
    ).to.equal(false);
  });
});
