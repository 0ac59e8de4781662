/* Lossy matches: only those that hold are returned, even when the index gives up. */
import { expect } from 'chai';
import { createHits } from '../../../../../../src/policy/decide/index/terms/posting.ts';
import { addLossyMatches, buildRecheckLookup, type LossyDraft } from '../../../../../../src/policy/decide/index/terms/recheck-index.ts';
import type { Clause } from '../../../../../../src/policy/model/program.ts';
import { factsWith } from '../../fixtures.ts';

const DEPTH = 6;

function pathClause(template: string): Clause {
  return { attribute: 'path', field: 'notPaths', noneOf: [{ kind: 'template', value: template }] };
}

/** Every template of this many segments that are `a` or `{*}`: a path of `a` segments matches all. */
function templates(end: string): readonly string[] {
  const segments = (i: number): readonly string[] => Array.from({ length: DEPTH }, (_, bit) => ((i >> bit) % 2 === 0 ? '/{*}' : '/a'));
  return Array.from({ length: 2 ** DEPTH }, (_, i) => segments(i).join('') + end);
}

function found(draft: LossyDraft, path: string): readonly number[] {
  const hits = createHits();
  buildRecheckLookup(draft, undefined)?.(factsWith({ pathWithQuery: path }), undefined, hits);
  return hits.postings
    .slice(0, hits.count)
    .flatMap(({ ids }) => ids)
    .toSorted((left, right) => left - right);
}

function draftOf(clauses: readonly Clause[]): LossyDraft {
  const draft: LossyDraft = new Map();
  for (const [id, clause] of clauses.entries()) addLossyMatches(draft, clause, 'noneOf', id);
  return draft;
}

describe('buildRecheckLookup', () => {
  it('returns the ids of matches that hold', () => {
    const draft = draftOf(['/a/{*}', '/{**}/z', '/a/{*}'].map(pathClause));
    expect(found(draft, '/a/b')).to.deep.equal([0, 2]);
    expect(found(draft, '/a/z')).to.deep.equal([0, 1, 2]);
    expect(found(draft, '/')).to.deep.equal([]);
  });

  it('returns all of them when a path matches too many templates to search for', () => {
    const all = [...templates('/x'), ...templates('/y')];
    expect(found(draftOf(all.map(pathClause)), `${'/a'.repeat(DEPTH)}/y`)).to.deep.equal(
      Array.from({ length: 2 ** DEPTH }, (_, i) => 2 ** DEPTH + i),
    );
  });

  it('is undefined when there are no lossy matches', () => {
    expect(buildRecheckLookup(new Map(), undefined)).to.equal(undefined);
  });
});
