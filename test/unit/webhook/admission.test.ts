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

  it('shows at most ten different warnings of at most 256 characters', () => {
    const long = 'x'.repeat(300);
    const warnings = [long, long, ...Array.from({ length: 20 }, (_, at) => `warning ${at}`)];

    const shown = responseOf({ allowed: true, warnings })['warnings'] as readonly string[];

    expect(shown).to.have.length(10);
    expect(shown[0]).to.equal('x'.repeat(256));
    expect(shown[1]).to.equal('warning 0');
  });
});
