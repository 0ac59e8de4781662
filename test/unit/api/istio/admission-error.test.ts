/* Messages and warnings of Istio's webhook, from findings. */
import { expect } from 'chai';
import { admissionError, admissionWarnings, denialMessage } from '../../../../src/api/istio/admission-error.ts';
import { errorBlock, type ValidationFinding } from '../../../../src/api/istio/validation-finding.ts';

function finding(message: string, more: Partial<ValidationFinding> = {}): ValidationFinding {
  return { stage: 'webhook', code: 'SP_POLICY', severity: 'error', path: 'spec', message, ...more };
}

const errorOf = (kind: string, ...findings: readonly ValidationFinding[]): string | undefined => admissionError(kind, 'ns', 'p', findings);

describe('admissionError', () => {
  it('returns a single error of an AuthorizationPolicy as one line with its name', () => {
    expect(errorOf('AuthorizationPolicy', finding('no'))).to.equal('invalid policy p.ns: no');
    expect(errorOf('RequestAuthentication', finding('no'))).to.equal('no');
  });

  it('returns several errors as a block, each with the name', () => {
    expect(errorOf('AuthorizationPolicy', finding('one'), finding('two'))).to.equal(
      '2 errors occurred:\n\t* invalid policy p.ns: one\n\t* invalid policy p.ns: two\n\n',
    );
  });

  it('returns a single error of a JWT rule, an address or a port as a block', () => {
    expect(errorOf('RequestAuthentication', finding('no', { path: 'spec.jwtRules[0].issuer' }))).to.equal(errorBlock(['no']));
    expect(errorOf('AuthorizationPolicy', finding('plain', { admissionMessage: 'bad port (x): strconv' }))).to.equal(
      errorBlock(['invalid policy p.ns: bad port (x): strconv']),
    );
  });

  it('does not prefix errors of annotations', () => {
    expect(errorOf('AuthorizationPolicy', finding('no', { code: 'SP_ANNOTATION' }))).to.equal('no');
  });

  it('returns only the first error of the decoder', () => {
    const decode = finding('plain', { stage: 'decode', code: 'SP_SCHEMA', admissionMessage: 'json: exact' });

    expect(errorOf('AuthorizationPolicy', decode, finding('second', { stage: 'decode' }), finding('third'))).to.equal('json: exact');
  });

  it('returns an unknown top-level field only if there is no other error', () => {
    const unknown = finding('unknown field "data"', { code: 'SP_SCHEMA', path: 'data' });

    expect(errorOf('AuthorizationPolicy', unknown, finding('unknown field "x"', { code: 'SP_SCHEMA' }))).to.equal('unknown field "data"');
    expect(errorOf('AuthorizationPolicy', unknown, finding('no'))).to.equal('invalid policy p.ns: no');
  });

  it('ignores warnings and findings of the CRD stage', () => {
    expect(errorOf('AuthorizationPolicy', finding('w', { severity: 'warning' }), finding('c', { stage: 'crd' }))).to.equal(undefined);
  });
});

describe('denialMessage', () => {
  it('starts with the stage that rejects', () => {
    const message = (...findings: readonly ValidationFinding[]): string | undefined =>
      denialMessage('AuthorizationPolicy', 'ns', 'p', findings);

    expect(message(finding('no'))).to.equal('configuration is invalid: invalid policy p.ns: no');
    expect(message(finding('no', { stage: 'decode' }))).to.equal('error decoding configuration: no');
    expect(message(finding('unknown field "data"', { code: 'SP_SCHEMA' }))).to.equal('unknown field "data"');
    expect(message()).to.equal(undefined);
  });

  it('does not take a warning of the decoder for its error', () => {
    const warning = finding('unknown field', { stage: 'decode', severity: 'warning' });

    expect(denialMessage('AuthorizationPolicy', 'ns', 'p', [warning, finding('no')])).to.match(/^configuration is invalid: /);
  });
});

describe('admissionWarnings', () => {
  it('returns the warnings of every stage in order', () => {
    expect(
      admissionWarnings([finding('a', { severity: 'warning' }), finding('no'), finding('b', { severity: 'warning', stage: 'decode' })]),
    ).to.deep.equal(['a', 'b']);
  });
});
