import { expect } from 'chai';
import fc from 'fast-check';
import type { JwtProvider, Program } from '../../../src/policy/model/program.ts';
import { proveTokens, tokenContradictionOf, tokenPair } from '../../support/token-model.ts';
import { provider } from '../jwt/tokens.ts';

const DEFAULT_RULE: JwtProvider = provider({ issuer: 'a' });
const NO_ENGINE = { attached: false, rules: [] } as const;

function programOf(...providers: readonly JwtProvider[]): Program {
  const http = { custom: [], audit: NO_ENGINE, deny: NO_ENGINE, allow: NO_ENGINE, dryRunDeny: NO_ENGINE, dryRunAllow: NO_ENGINE };
  return { pathNormalization: 'BASE', trustedProxies: [], providers, http, tcp: http };
}

/** Lets in tokens of the issuer `a` only. */
function onlyA(program: Program): Program {
  const present = { kind: 'present' } as const;
  const from = [[{ attribute: 'requestPrincipal', field: 'x', anyOf: [{ iss: { kind: 'exact', value: 'a' }, sub: present }] }]] as const;
  const rule = { id: 'r', source: { ...DEFAULT_RULE.source, kind: 'AuthorizationPolicy' }, from, to: [[]], when: [] } as const;
  return { ...program, http: { ...program.http, allow: { attached: true, rules: [rule] } } };
}

describe('proofs about what JWT rules do to requests', () => {
  it('are contradicted by no request to the filter chain', () => {
    const answers: string[] = [];
    fc.assert(
      fc.property(tokenPair, (pair) => {
        const proof = proveTokens(pair.programs);
        answers.push(proof.widened.kind, proof.narrowed.kind);
        expect(tokenContradictionOf(pair, proof)).to.equal(undefined);
      }),
      { numRuns: 150, seed: 1 },
    );
    expect(answers.filter((kind) => kind === 'undecided').length).to.be.lessThan(answers.length / 5);
    expect(answers.filter((kind) => kind === 'found').length).to.be.greaterThan(30);
  });

  it('see that a rule accepts a token only because another rule has removed one', () => {
    const other = { ...DEFAULT_RULE, issuer: 'b' };
    const { widened, narrowed } = proveTokens([onlyA(programOf(other, DEFAULT_RULE)), onlyA(programOf(DEFAULT_RULE))]);

    expect(widened).to.deep.equal({ kind: 'none' });
    expect(narrowed.kind === 'found' && narrowed.witness.tokens.map(({ claims }) => claims['iss'])).to.deep.equal(['a']);
    expect(narrowed.kind === 'found' && narrowed.witness.companions?.map(({ issuer }) => issuer)).to.deep.equal(['b']);
  });

  it('see that a rule finds more tokens when another one keeps those that it accepts', () => {
    const keeping = {
      ...DEFAULT_RULE,
      issuer: '',
      headers: [{ name: ':scheme', prefix: 'h' }],
      params: ['t'],
      cookies: ['c'],
      forward: true,
    };
    const own = { ...DEFAULT_RULE, headers: [{ name: 'x-jwt', prefix: '' }], params: ['t'] };
    const { narrowed } = proveTokens([programOf({ ...keeping, forward: false }, own), programOf(keeping, own)]);

    expect(narrowed.kind).to.not.equal('none');
  });

  it('are proofs when another issuer is added behind the others', () => {
    const { widened, narrowed } = proveTokens([programOf(DEFAULT_RULE), programOf(DEFAULT_RULE, { ...DEFAULT_RULE, issuer: 'b' })]);

    expect(widened.kind).to.equal('found');
    expect(narrowed).to.deep.equal({ kind: 'none' });
  });
});
