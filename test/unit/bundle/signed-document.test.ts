/* Documents with the statement that signs them. */
import { expect } from 'chai';
import { openDocument, type SignedFiles, signDocument } from '../../../src/bundle/signed-document.ts';
import { INDEX_STATEMENT } from '../../../src/bundle/statement.ts';
import { RefusedError } from '../../../src/errors.ts';
import { CLUSTER, KEYS, SIGNER } from '../../support/signing.ts';

const JSON_TEXT = JSON.stringify({ text: 'ä'.repeat(5000) });
const SIZE = Buffer.byteLength(JSON_TEXT);
const SUBJECT = { schema: INDEX_STATEMENT, namespace: 'foo' } as const;
const FILES = signDocument(JSON_TEXT, { ...SUBJECT, number: 7 }, SIGNER);

function opened(files: SignedFiles, over: object = {}): string {
  try {
    const context = { ...SUBJECT, cluster: CLUSTER, roots: [KEYS.root.x], nowMs: Date.now(), maxBytes: SIZE, ...over };
    return openDocument(files, context).json;
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
}

describe('a signed document', () => {
  it('is what was signed', () => {
    expect(opened(FILES)).to.equal(JSON_TEXT);
  });

  it('is at most as large as its reader allows', () => {
    expect(opened(FILES, { maxBytes: SIZE - 1 })).to.equal('SP_BUNDLE_TOO_LARGE');
  });

  it('is refused for another namespace or cluster, and with other content', () => {
    expect(opened(FILES, { namespace: 'bar' })).to.equal('SP_BUNDLE_FOREIGN');
    expect(opened(FILES, { cluster: 'cluster-2' })).to.equal('SP_BUNDLE_FOREIGN');
    const other = signDocument(`${JSON_TEXT} `, { ...SUBJECT, number: 7 }, SIGNER);
    expect(opened({ ...FILES, part: other.part })).to.match(/^SP_BUNDLE_/);
  });
});
