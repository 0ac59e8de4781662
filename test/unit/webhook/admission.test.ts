/* AdmissionReview requests and responses. */
import { expect } from 'chai';
import { RefusedError } from '../../../src/errors.ts';
import { parseReview, toReview } from '../../../src/webhook/admission.ts';

const review = (request: unknown): unknown => ({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });

describe('parseReview', () => {
  it('reads the request and keeps the object as it is', () => {
    const object = { kind: 'Pod', spec: { unknownField: [null] } };

    const request = parseReview(
      review({ uid: 'u', namespace: 'foo', operation: 'CREATE', object, dryRun: true, userInfo: { groups: ['a', 1] } }),
    );

    expect(request).to.deep.equal({ uid: 'u', namespace: 'foo', operation: 'CREATE', isDryRun: true, object, groups: ['a'] });
    expect(request.object).to.equal(object);
  });

  it('replaces members of the wrong type', () => {
    expect(parseReview(review({ uid: 'u', namespace: 5, operation: null, object: 'x', dryRun: 'true' }))).to.deep.equal({
      uid: 'u',
      namespace: '',
      operation: '',
      isDryRun: false,
      object: undefined,
      groups: [],
    });
  });

  for (const [what, body] of [
    ['a value that is not an object', 'x'],
    ['another kind', { apiVersion: 'admission.k8s.io/v1', kind: 'Pod', request: { uid: 'u' } }],
    ['another version', { apiVersion: 'admission.k8s.io/v1beta1', kind: 'AdmissionReview', request: { uid: 'u' } }],
    ['a missing request', review(undefined)],
    ['a request without a uid', review({ uid: '' })],
  ] as const) {
    it(`rejects ${what}`, () => {
      expect(() => parseReview(body))
        .to.throw(RefusedError)
        .with.property('code', 'SP_KUBE_INVALID');
    });
  }
});

describe('toReview', () => {
  const responseOf = (response: Parameters<typeof toReview>[1]): Record<string, unknown> =>
    (toReview('u', response) as { readonly response: Record<string, unknown> }).response;

  it('contains only uid and allowed when there is nothing else', () => {
    expect(responseOf({ allowed: true, patch: [], warnings: [] })).to.deep.equal({ uid: 'u', allowed: true });
  });

  it('encodes a patch in base64', () => {
    const patch = [{ op: 'remove', path: '/spec/ü' }] as const;
    const response = responseOf({ allowed: true, patch });

    expect(response['patchType']).to.equal('JSONPatch');
    expect(JSON.parse(Buffer.from(String(response['patch']), 'base64').toString('utf8'))).to.deep.equal(patch);
  });

  it('denies with a status that kubectl shows', () => {
    expect(responseOf({ allowed: false, message: 'no' })['status']).to.deep.equal({
      status: 'Failure',
      message: 'no',
      reason: 'BadRequest',
      code: 400,
    });
    expect(responseOf({ allowed: false })).to.have.nested.property('status.message', 'denied');
  });

  const shownOf = (...warnings: readonly string[]): readonly string[] =>
    responseOf({ allowed: true, warnings })['warnings'] as readonly string[];
  /** The text of lines that were split. */
  const joined = (lines: readonly string[]): string => lines.join('\n').replaceAll(/ …\n… /g, ' ');

  for (const [what, text] of [
    ['of 255 bytes', 'x'.repeat(255)],
    ['of many words', Array.from({ length: 120 }, (_, at) => `word${at}`).join(' ')],
    ['with characters of several bytes', Array.from({ length: 90 }, () => 'straße für ☂').join(' ')],
    ['of 256 bytes in two words', `${'x'.repeat(200)} ${'y'.repeat(55)}`],
    ['with several spaces', `${'x  y '.repeat(60)}z`],
  ] as const) {
    it(`splits a warning ${what} at words into lines of at most 255 bytes`, () => {
      const lines = shownOf(text);

      expect(joined(lines)).to.equal(text);
      expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).to.be.at.most(255);
      expect(lines.length === 1).to.equal(Buffer.byteLength(text) <= 255);
    });
  }

  it('splits a word that is longer than a line', () => {
    const lines = shownOf(`path: ${'é'.repeat(400)} never matches`);

    expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).to.be.at.most(255);
    expect(lines.join('').replaceAll(/[ …]/g, '')).to.equal(`path:${'é'.repeat(400)}nevermatches`);
  });

  it('shows each warning once, whole ones in at most fifteen lines, and the number of the others', () => {
    const long = 'x '.repeat(150).trim();
    const lines = shownOf(long, long, ...Array.from({ length: 20 }, (_, at) => `warning ${at}`));

    expect(lines).to.have.length(15);
    expect(joined(lines.slice(0, 2))).to.equal(long);
    expect(lines[2]).to.equal('warning 0');
    expect(lines.at(-1)).to.equal('8 more; sallyport check shows all of them');
    expect(shownOf(...Array.from({ length: 15 }, (_, at) => `warning ${at}`))).to.have.length(15);
  });
});
