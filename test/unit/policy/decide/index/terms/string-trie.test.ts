/* The trie of prefixes and suffixes finds the longest match, and all shorter ones in its chain. */
import { expect } from 'chai';
import { RowSets } from '../../../../../../src/policy/decide/index/bitmap/row-sets.ts';
import type { Posting } from '../../../../../../src/policy/decide/index/terms/posting.ts';
import { buildPrefixTrie, buildSuffixTrie, type StringTrie } from '../../../../../../src/policy/decide/index/terms/string-trie.ts';
import { doSteps } from '../../../../../../src/steps.ts';

function idsByText(texts: readonly string[], firstId = 0): Map<string, number[]> {
  return new Map(texts.map((text, at) => [text, [firstId + at]]));
}

function trieOf(texts: readonly string[], sets?: RowSets): StringTrie {
  return doSteps(buildPrefixTrie(idsByText(texts), sets)) as StringTrie;
}

function idsOf(posting: Posting | undefined): readonly number[] {
  const ids: number[] = [];
  for (let link = posting; link !== undefined; link = link.parent) ids.push(...link.ids);
  return ids.toSorted((left, right) => left - right);
}

describe('buildPrefixTrie', () => {
  const texts: readonly string[] = ['/a', '/a/b', '/a/b/c', '/ab', '/x', '', '/a/\u00e9', '/a/b/cdefgh'];

  for (const value of [
    '',
    '/',
    '/a',
    '/a/',
    '/a/b',
    '/a/bx',
    '/a/b/c',
    '/a/b/cdefgh',
    '/a/b/cdefg',
    '/abc',
    '/y',
    'x',
    '/a/\u00e9/',
    '/xx',
  ]) {
    it(`finds every prefix of ${JSON.stringify(value)}`, () => {
      const wanted = texts.flatMap((text, id) => (value.startsWith(text) ? [id] : []));

      expect(idsOf(trieOf(texts).find(value, 0))).to.deep.equal(wanted);
    });
  }

  for (const value of ['/a', '/a/', '/a/b', '/a/b/x', '/q', '/q/r', '', '/ab']) {
    it(`finds ${JSON.stringify(value)} itself and its prefixes`, () => {
      const prefixes = ['/a/', '/a', '/q/r/s'];
      const whole = ['/a', '/a/b', '/q', '', '/ab'];
      const wanted = [...prefixes.map((text) => value.startsWith(text)), ...whole.map((text) => value === text)];
      const trie = doSteps(buildPrefixTrie(idsByText(prefixes), undefined, idsByText(whole, prefixes.length))) as StringTrie;

      expect(idsOf(trie.find(value, 0))).to.deep.equal(wanted.flatMap((isHit, id) => (isHit ? [id] : [])));
      expect(trie.worst).to.equal(3);
    });
  }

  it('starts at the given index', () => {
    expect(idsOf(trieOf(['b/', 'b/c']).find('a/b/c', 2))).to.deep.equal([0, 1]);
  });

  it('reports the size of the longest chain', () => {
    expect(trieOf(['a', 'ab', 'abc', 'b']).worst).to.equal(3);
  });

  it('is undefined when there are no keys', () => {
    expect(doSteps(buildPrefixTrie(new Map(), undefined))).to.equal(undefined);
  });

  it('holds keys nested a thousand deep', () => {
    const nested = Array.from({ length: 1000 }, (_, depth) => 'a'.repeat(depth + 1));

    expect(idsOf(trieOf(nested).find('a'.repeat(700), 0))).to.have.length(700);
    expect(trieOf(nested, new RowSets(700)).find('a'.repeat(700), 0)?.total).to.equal(700);
  });
});

describe('buildSuffixTrie', () => {
  for (const value of ['', 'c', 'b/c', '/a/b/c', 'x/a', '/b', 'cdefgh', 'zab']) {
    it(`finds every suffix of ${JSON.stringify(value)}`, () => {
      const suffixes = ['c', '/c', 'b/c', 'ab', 'b', '/a', 'zzab'];
      const wanted = suffixes.flatMap((text, id) => (value.endsWith(text) ? [id] : []));

      expect(idsOf((doSteps(buildSuffixTrie(idsByText(suffixes), undefined)) as StringTrie).find(value, 0))).to.deep.equal(wanted);
    });
  }

  it('is undefined when there are no keys', () => {
    expect(doSteps(buildSuffixTrie(new Map(), undefined))).to.equal(undefined);
  });
});
