import { expect } from 'chai';
import fc from 'fast-check';
import { automatonOf, DEAD, START } from '../../../src/analysis/automaton.ts';
import { createBudget } from '../../../src/analysis/budget.ts';
import { pathDomain, targetDomain } from '../../../src/analysis/domains.ts';
import { findString, type StringDomain } from '../../../src/analysis/find-string.ts';
import { identityPatterns, literal, type Pattern, pathPatterns } from '../../../src/analysis/pattern.ts';
import { normalizePath } from '../../../src/http/normalize/normalize-path.ts';
import { withoutQueryParameter } from '../../../src/jwt/query.ts';
import { compilePathMatch } from '../../../src/policy/match/compile-clause.ts';
import { compileIdentityMatch } from '../../../src/policy/match/identity.ts';
import type { IdentityMatch, PathMatch } from '../../../src/policy/model/program.ts';

function matches(pattern: Pattern, text: string): boolean {
  const automaton = automatonOf(pattern);
  let state = START;
  for (let at = 0; at < text.length && state !== DEAD; at++) state = automaton.advance(state, text.charCodeAt(at));
  return state !== DEAD && automaton.accepts(state);
}

const NEVER = createBudget(() => false);
const PIECES = ['/', '.', '..', ';', '%2e', '%2F', '%5c', '%41', '%', '4', '1', 'a', '//', '\\', '*', '[', '"', '%25', '%00', '~', 'é'];
const rawPath = fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }).map((parts) => `/${parts.join('')}`);
const query = fc
  .array(fc.constantFrom('?', '#', 't', '=', '&', '%20', '/.', '%41', '"', 'é', '%23'), { maxLength: 8 })
  .map((parts) => parts.join(''));

function contains({ accepted = [], rejected, alphabet }: StringDomain, text: string): boolean {
  const known = new Set(alphabet);
  const isKnown = Array.from(text).every((character) => known.has(character.charCodeAt(0)));
  return isKnown && accepted.some((pattern) => matches(pattern, text)) && !rejected.some((pattern) => matches(pattern, text));
}

describe('domains of the analysis', () => {
  for (const mode of ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const) {
    it(`contain every path that normalization ${mode} can give`, () => {
      const { accepted = [], rejected, alphabet } = pathDomain(mode);
      const known = new Set(alphabet);
      fc.assert(
        fc.property(rawPath, (raw) => {
          const path = normalizePath(raw, mode);
          if (path === undefined) return;
          expect(
            accepted.some((pattern) => matches(pattern, path)),
            path,
          ).to.equal(true);
          expect(
            rejected.some((pattern) => matches(pattern, path)),
            path,
          ).to.equal(false);
          expect(
            Array.from(path).every((character) => known.has(character.charCodeAt(0))),
            path,
          ).to.equal(true);
        }),
        { numRuns: 3000 },
      );
    });
  }

  for (const mode of ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const) {
    it(`contain every path with a query that normalization ${mode} can give, and its query without a token`, () => {
      fc.assert(
        fc.property(rawPath, query, (raw, behind) => {
          const target = normalizePath(`${raw}?${behind}`, mode);
          if (target === undefined) return;
          expect(contains(targetDomain(mode, 'sent'), target), target).to.equal(true);
          const rewritten = withoutQueryParameter(target, 't');
          expect(contains(targetDomain(mode, 'rewritten'), rewritten), rewritten).to.equal(true);
        }),
        { numRuns: 3000 },
      );
    });
  }

  it('give paths that normalization leaves as they are', () => {
    const value = fc.constantFrom('/', '/a', '/a/', '/.', '/%4', '/%41', '/a..', '/..;', '//', '/%2F', 'b', '/a.');
    const match = fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value });
    fc.assert(
      fc.property(fc.array(match, { minLength: 1, maxLength: 2 }), fc.array(match, { maxLength: 2 }), (some, none) => {
        const found = findString({ domain: pathDomain('BASE'), positive: some.map(pathPatterns), negative: none.map(pathPatterns) }, NEVER);
        if (found.kind !== 'value' || found.value.includes(';')) return;
        expect(normalizePath(found.value, 'BASE')).to.equal(found.value);
      }),
      { numRuns: 500 },
    );
  });
});

const word = fc.constantFrom('', 'a', 'b', 'ab', '/', '/a', 'a/b', '\n', '*');
const stringMatch = fc.oneof(
  fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value: word }),
  fc.constant({ kind: 'present' as const }),
);
const identityMatch: fc.Arbitrary<IdentityMatch> = fc.oneof(
  stringMatch,
  word.map((value) => ({ kind: 'spiffeSuffix' as const, value })),
  fc.constantFrom('a', 'a*', '*b', '*', 'a/b', '**', 'a\nb').map((pattern) => ({ kind: 'namespace' as const, pattern })),
  fc.record({ kind: fc.constant('serviceAccount' as const), namespace: word, name: word }),
  fc.record({ kind: fc.constant('trustDomain' as const), prefix: word, suffix: word }),
);
const template: fc.Arbitrary<PathMatch> = fc
  .array(fc.constantFrom('a', '{*}', '{**}', 'b', ''), { minLength: 1, maxLength: 4 })
  .map((segments) => ({ kind: 'template', value: `/${segments.join('/')}` }));

describe('patterns of the analysis', () => {
  it('match the identities that the engine matches', () => {
    const part = fc.constantFrom('spiffe://', '/ns/', 'a', 'b', '/sa/', 'sa/', '/', 'ab', '\n', 'td');
    const identity = fc.array(part, { maxLength: 9 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(
        identityMatch,
        fc.oneof(
          identity,
          identity.map((text) => `spiffe://${text}`),
        ),
        (match, text) => {
          expect(identityPatterns(match).some((pattern) => matches(pattern, text))).to.equal(compileIdentityMatch(match)(text));
        },
      ),
      { numRuns: 10_000 },
    );
  });

  it('match the paths that the engine matches', () => {
    const path = fc.array(fc.constantFrom('/', 'a', 'b', '[', '*', '.'), { maxLength: 8 }).map((parts) => `/${parts.join('')}`);
    fc.assert(
      fc.property(fc.oneof(stringMatch, template), path, (match, text) => {
        expect(pathPatterns(match).some((pattern) => matches(pattern, text))).to.equal(compilePathMatch(match)(text));
      }),
      { numRuns: 10_000 },
    );
  });

  it('match a literal only as a whole', () => {
    expect(['ab', 'a', 'abc', ''].map((text) => matches(literal('ab'), text))).to.deep.equal([true, false, false, false]);
  });
});
