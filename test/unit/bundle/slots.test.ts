import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { MAX_BUNDLE_BYTES } from '../../../src/bundle/bundle.ts';
import { digestOf } from '../../../src/bundle/digest.ts';
import {
  fromStoredForm,
  fromStoredFormApart,
  gzipDeterministic,
  PART_LIMIT_BYTES,
  PLAIN_LIMIT_BYTES,
  requireParts,
  SLOT_FILES,
  type StoredForm,
  toStoredForm,
} from '../../../src/bundle/slots.ts';
import { BUNDLE_STATEMENT, type Statement } from '../../../src/bundle/statement.ts';
import { RefusedError } from '../../../src/errors.ts';
import type { Turns } from '../../../src/steps.ts';

const SMALL = '{"a":1}';
const LARGE = JSON.stringify(Array.from({ length: 60_000 }, (_, at) => (at * 7919) % 10_007));

const statementOf = ({ digest, size, encoding, parts }: StoredForm, over: Partial<Statement> = {}): Statement => ({
  schema: BUNDLE_STATEMENT,
  cluster: 'c',
  namespace: 'foo',
  number: 1,
  digest,
  size,
  encoding,
  parts,
  ...over,
});
const partsOf =
  ({ contents }: Pick<StoredForm, 'contents'>) =>
  (digest: string): Uint8Array | undefined =>
    contents.find((content) => digestOf(content) === digest);

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'accepted';
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
}

const read = (form: StoredForm, over: Partial<Statement> = {}): string =>
  Buffer.from(fromStoredForm(statementOf(form, over), partsOf(form))).toString();

describe('the stored form of a bundle', () => {
  it('is the JSON itself in one part while it is small', () => {
    const form = toStoredForm(SMALL);

    expect(form).to.deep.include({ encoding: 'identity', size: 7, digest: digestOf(SMALL), parts: [{ digest: digestOf(SMALL), size: 7 }] });
    expect(form.contents.map(String)).to.deep.equal([SMALL]);
    expect(read(form)).to.equal(SMALL);
  });

  it('is compressed from the limit on', () => {
    const below = toStoredForm(`"${'x'.repeat(PLAIN_LIMIT_BYTES - 3)}"`);
    const at = toStoredForm(`"${'x'.repeat(PLAIN_LIMIT_BYTES - 2)}"`);

    expect([below.encoding, at.encoding]).to.deep.equal(['identity', 'gzip']);
    expect(at.size).to.equal(PLAIN_LIMIT_BYTES);
    expect(at.contents[0]?.length).to.be.below(1000);
    expect(read(at)).to.have.length(PLAIN_LIMIT_BYTES);
  });

  it('has as few parts as the limit allows, in order, each with its digest and size', () => {
    const whole = toStoredForm(LARGE);
    const bytes = whole.contents[0]?.length ?? 0;
    const cut = toStoredForm(LARGE, 2, Math.ceil(bytes / 2));

    expect(whole.parts).to.have.length(1);
    expect(cut.parts).to.deep.equal(cut.contents.map((content) => ({ digest: digestOf(content), size: content.length })));
    expect(cut.parts).to.have.length(2);
    expect(Buffer.concat(cut.contents)).to.deep.equal(whole.contents[0]);
    expect(read(cut)).to.equal(LARGE);
    expect(toStoredForm(LARGE, 1, bytes).parts).to.have.length(1);
    expect(codeOf(() => toStoredForm(LARGE, 1, bytes - 1))).to.equal('SP_TOO_LARGE');
    expect(codeOf(() => toStoredForm(LARGE, 2, Math.ceil(bytes / 2) - 1))).to.equal('SP_TOO_LARGE');
  });

  it('leaves space in a ConfigMap for the statement and the lists of keys', () => {
    expect(PART_LIMIT_BYTES).to.be.within(900 * 1024, 1024 * 1024 - 16 * 1024);
    expect(SLOT_FILES).to.have.length(3);
  });

  it('is refused beyond what an agent reads, however well it compresses', () => {
    expect(codeOf(() => toStoredForm(' '.repeat(MAX_BUNDLE_BYTES)))).to.equal('accepted');
    expect(codeOf(() => toStoredForm(' '.repeat(MAX_BUNDLE_BYTES + 1)))).to.equal('SP_TOO_LARGE');
  });

  it('says how large a bundle is that does not fit', () => {
    expect(() => toStoredForm(LARGE, 1, 1000)).to.throw(
      RefusedError,
      /^it has \d{6} bytes, \d+ when compressed; at most 1000 are published$/,
    );
  });
});

describe('reading the stored form', () => {
  const form = toStoredForm(SMALL);
  const large = toStoredForm(LARGE, 2, 100_000);

  it('refuses other content of the same size', () => {
    const other = Buffer.from('{"b":2}');
    const changed = { ...form, parts: [{ digest: digestOf(other), size: 7 }], contents: [other] };

    expect(codeOf(() => read(changed))).to.equal('SP_BUNDLE_DIGEST');
    const gzip = {
      ...form,
      encoding: 'gzip',
      parts: [{ digest: digestOf(gzipSync(other)), size: 27 }],
      contents: [gzipSync(other)],
    } as const;
    expect(codeOf(() => read(gzip))).to.equal('SP_BUNDLE_DIGEST');
  });

  it('refuses compressed content that has the digest of its statement before it is decompressed', () => {
    const gzip = gzipSync(SMALL);
    const digest = digestOf(gzip);

    expect(
      codeOf(() => read({ digest, size: SMALL.length, encoding: 'gzip', parts: [{ digest, size: gzip.length }], contents: [gzip] })),
    ).to.equal('SP_BUNDLE_DIGEST');
  });

  it('is the same for a process that takes turns', async () => {
    const turns: Turns = { pause: setImmediate, turnMs: 1 };
    const apart = (form: StoredForm, over: Partial<Statement> = {}): Promise<string> =>
      fromStoredFormApart(statementOf(form, over), partsOf(form), turns).then(
        (json) => Buffer.from(json).toString(),
        (error: unknown) => (error as RefusedError).code,
      );

    expect(await apart(form)).to.equal(SMALL);
    expect(await apart(large)).to.equal(LARGE);
    expect(await apart(large, { size: large.size - 1 })).to.equal('SP_BUNDLE_UNREADABLE');
    expect(await apart(large, { size: large.size + 1 })).to.equal('SP_BUNDLE_DIGEST');
    expect(await apart(large, { digest: digestOf('x') })).to.equal('SP_BUNDLE_DIGEST');
    expect(await apart(large, { encoding: 'identity' })).to.equal('SP_BUNDLE_DIGEST');
    expect(await apart(form, { encoding: 'gzip' })).to.equal('SP_BUNDLE_UNREADABLE');
    expect(await apart(large, { size: MAX_BUNDLE_BYTES + 1 })).to.equal('SP_BUNDLE_TOO_LARGE');
  });

  it('refuses the same content of another size', () => {
    expect(codeOf(() => read(form, { size: 6 }))).to.equal('SP_BUNDLE_DIGEST');
    expect(codeOf(() => read(form, { size: 8 }))).to.equal('SP_BUNDLE_DIGEST');
    expect(codeOf(() => read(large, { size: large.size + 1 }))).to.equal('SP_BUNDLE_DIGEST');
  });

  it('refuses content that is larger than its statement, before it is decompressed whole', () => {
    expect(codeOf(() => read(large, { size: large.size - 1 }))).to.equal('SP_BUNDLE_UNREADABLE');
    expect(codeOf(() => read(large, { size: 0 }))).to.equal('SP_BUNDLE_UNREADABLE');
    expect(codeOf(() => read(large, { size: MAX_BUNDLE_BYTES + 1 }))).to.equal('SP_BUNDLE_TOO_LARGE');
    expect(codeOf(() => read(large, { size: MAX_BUNDLE_BYTES }))).to.equal('SP_BUNDLE_DIGEST');
  });

  it('refuses parts in another order, and other encodings', () => {
    expect(codeOf(() => read(large, { parts: large.parts.toReversed() }))).to.equal('SP_BUNDLE_UNREADABLE');
    expect(codeOf(() => read(large, { parts: large.parts.slice(0, 1) }))).to.equal('SP_BUNDLE_UNREADABLE');
    expect(codeOf(() => read(large, { encoding: 'identity' }))).to.equal('SP_BUNDLE_DIGEST');
    expect(codeOf(() => read(form, { encoding: 'gzip' }))).to.equal('SP_BUNDLE_UNREADABLE');
  });

  it('reads plain content of several parts only as a whole', () => {
    const halves = [Buffer.from(SMALL.slice(0, 3)), Buffer.from(SMALL.slice(3))];
    const parts = halves.map((half) => ({ digest: digestOf(half), size: half.length }));

    expect(read({ ...form, parts, contents: halves })).to.equal(SMALL);
    expect(codeOf(() => read({ ...form, parts: parts.toReversed(), contents: halves }))).to.equal('SP_BUNDLE_DIGEST');
  });

  it('names the part that is missing', () => {
    const first = { contents: large.contents.slice(0, 1) };

    expect(() => requireParts(statementOf(large), partsOf(first))).to.throw(RefusedError, 'part 2 of 2 is missing or changed');
    expect(codeOf(() => fromStoredForm(statementOf(large), () => undefined))).to.equal('SP_BUNDLE_UNREADABLE');
  });
});

describe('gzip', () => {
  it('has neither time nor operating system', () => {
    const compressed = gzipDeterministic('x');

    expect([...compressed.subarray(4, 8)]).to.deep.equal([0, 0, 0, 0]);
    expect(compressed[9]).to.equal(255);
    expect(gzipDeterministic(Buffer.from('x'))).to.deep.equal(compressed);
  });
});
