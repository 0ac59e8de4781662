/* The trie of path templates finds every template that matches, and few others. */
import { expect } from 'chai';
import { createHits } from '../../../../../../src/policy/decide/index/terms/posting.ts';
import { buildTemplateTrie, type TemplateTrie } from '../../../../../../src/policy/decide/index/terms/template-trie.ts';
import { compilePathTemplate, type PathTemplate, parsePathTemplate } from '../../../../../../src/policy/match/path-template.ts';
import { doSteps } from '../../../../../../src/steps.ts';

const DEEP: string = `${'/{*}'.repeat(70)}/end`;
const TEMPLATES: readonly string[] = [
  '/a/{*}',
  '/{*}/b',
  '/a/{*}/c',
  '/a/{**}',
  '/{**}',
  '/{**}/z',
  '/{*}/b/{**}/z',
  '/a/{*}/',
  '/{*}/{*}/{*}',
  DEEP,
  `${DEEP}/{**}/more`,
  `${DEEP}/{**}/other`,
];
const PATHS: readonly string[] = [
  '/',
  '/a',
  '/a/',
  '/a/b',
  '/x/b',
  '/a/b/c',
  '/a/b/z',
  '/x/b/y/z',
  '/a/x/',
  '/x/y/w',
  '/z',
  'a/b',
  '*',
  '',
  `${'/s'.repeat(70)}/end`,
  `${'/s'.repeat(70)}/end/x/more`,
];

function found(path: string): ReadonlySet<number> {
  const trie = doSteps(buildTemplateTrie(new Map(TEMPLATES.map((text, id) => [text, [id]])), undefined)) as TemplateTrie;
  const hits = createHits();
  trie.find(path, hits);
  const ids = new Set<number>();
  for (let i = 0; i < hits.count; i++) {
    for (let link = hits.postings[i]; link !== undefined; link = link.parent) for (const id of link.ids) ids.add(id);
  }
  return ids;
}

describe('buildTemplateTrie', () => {
  for (const path of PATHS) {
    it(`finds every template of ${path.slice(0, 20)}`, () => {
      const wanted = TEMPLATES.flatMap((text, id) => (compilePathTemplate(parsePathTemplate(text) as PathTemplate)(path) ? [id] : []));

      expect([...found(path)]).to.include.members(wanted);
    });
  }

  it('finds no template with other segments', () => {
    expect([...found('/q/r')]).to.have.members([4]);
  });

  it('is undefined when there are no templates', () => {
    expect(doSteps(buildTemplateTrie(new Map(), undefined))).to.equal(undefined);
  });
});
