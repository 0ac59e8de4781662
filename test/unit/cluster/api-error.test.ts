/* Errors for failed responses and for requests without a response. */
import { expect } from 'chai';
import { errorOfDeadline, errorOfResponse, errorOfTransport } from '../../../src/cluster/api-error.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';

const request = { method: 'PATCH', path: '/api/v1/namespaces/foo/configmaps/x' };
const wallMs = Date.UTC(2026, 0, 1);

describe('errorOfResponse', () => {
  it('reports reasons and fields of a Status, but nothing that quotes the request', () => {
    const causes = [
      { reason: 'FieldValueInvalid', message: 'invalid value: "SECRET"', field: 'spec.rules[0]' },
      { reason: 'not a single word', field: 'a: b' },
      { reason: 'FieldValueInvalid' },
    ];
    const body = { kind: 'Status', reason: 'Invalid', message: 'SECRET', details: { name: 'SECRET', causes } };

    const error = errorOfResponse(request, { status: 422, body, wallMs });

    expect(error).to.be.instanceOf(RefusedError);
    expect(error.message).to.equal('PATCH /api/v1/namespaces/foo/configmaps/x: 422 Invalid FieldValueInvalid spec.rules[0]');
    expect(JSON.stringify(error)).to.not.contain('SECRET');
  });

  const sentences: readonly (readonly [said: unknown, kept: string | undefined])[] = [
    [
      'configmaps "x" is forbidden: exceeded quota: few, used: configmaps=2',
      'configmaps "x" is forbidden: exceeded quota: few, used: configmaps=2',
    ],
    ["ValidatingAdmissionPolicy 'p' denied request:\n\tno\u001b[31m", "ValidatingAdmissionPolicy 'p' denied request: no [31m"],
    [
      'ConfigMap "x" is invalid: data.a: Invalid value: "S\\"ECRET": too long',
      'ConfigMap "x" is invalid: data.a: an invalid value: too long',
    ],
    ['ConfigMap "x" is invalid: data: Invalid value: map[string]string{"a":"SECRET"}: no', 'ConfigMap "x" is invalid: data: Invalid value'],
    ['x'.repeat(500), `${'x'.repeat(399)}…`],
    [' \n', undefined],
    [42, undefined],
  ];
  for (const [said, kept] of sentences) {
    it(`keeps the sentence of the server for the status, but in no log: ${JSON.stringify(said).slice(0, 60)}`, () => {
      for (const status of [403, 422, 400]) {
        const error = errorOfResponse(request, { status, body: { kind: 'Status', message: said }, wallMs }) as RefusedError;
        expect(error.sentence).to.equal(kept);
        expect(Object.keys(error)).to.not.include('sentence');
      }
    });
  }

  it('ignores a body that is not a Status', () => {
    for (const body of [undefined, null, 'text', { reason: 'Forbidden' }, []]) {
      expect(errorOfResponse(request, { status: 403, body, wallMs }).message).to.match(/: 403$/);
    }
  });

  const delays: readonly (readonly [what: string, retryAfter: string | undefined, seconds: unknown, delayMs: number | undefined])[] = [
    ['no delay when none is given', undefined, undefined, undefined],
    ['the delay of the Status when there is no header', undefined, 3, 3_000],
    ['the header when both are given', '5', 3, 5_000],
    ['no negative delay for a date in the past', 'Wed, 31 Dec 2025 00:00:00 GMT', undefined, 0],
    ['the delay of the Status when the header is zero', '0', 2, 2_000],
    ['no delay when the Status has an invalid one', '', 'soon', undefined],
  ];
  for (const [what, retryAfter, retryAfterSeconds, delayMs] of delays) {
    it(`returns ${what}`, () => {
      const body = { kind: 'Status', details: { retryAfterSeconds } };

      expect(errorOfResponse(request, { status: 429, body, retryAfter, wallMs })).to.have.property('retryAfterMs', delayMs);
    });
  }

  it('treats redirects and server errors as transient', () => {
    for (const status of [301, 500, 504]) {
      expect(errorOfResponse(request, { status, wallMs })).to.be.instanceOf(TransientError).with.property('code', 'SP_KUBE_API');
    }
  });
});

describe('errorOfTransport', () => {
  it('finds the error code in the chain of causes', () => {
    const reset = Object.assign(new Error('read'), { code: 'ECONNRESET' });
    const perAddress = new AggregateError([Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })]);

    expect(errorOfTransport(request, new TypeError('fetch failed', { cause: reset })).message).to.match(/: ECONNRESET$/);
    expect(errorOfTransport(request, new TypeError('fetch failed', { cause: perAddress })).message).to.match(/: ECONNREFUSED$/);
  });

  it('reports that there was no response when no error code is known', () => {
    const loop = new Error('loop');
    loop.cause = loop;

    for (const thrown of [new Error('x'), 'text', undefined, loop]) {
      expect(errorOfTransport(request, thrown)).to.include({
        code: 'SP_KUBE_API',
        message: `${request.method} ${request.path}: no response`,
      });
    }
  });
});

describe('errorOfDeadline', () => {
  it('is transient and contains the deadline', () => {
    expect(errorOfDeadline(request, 500)).to.be.instanceOf(TransientError).and.include({
      code: 'SP_TIMEOUT',
      message: 'PATCH /api/v1/namespaces/foo/configmaps/x: no response within 500 ms',
    });
  });
});
