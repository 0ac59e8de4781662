/* The trie of prefixes and suffixes: the longest one that fits, and all shorter ones in its chain. */
import { expect } from 'chai';
import { createPosting, type Posting } from '../../../../../src/policy/decide/index/posting.ts';
import { buildPrefixTrie, buildSuffixTrie, type TextTrie } from '../../../../../src/policy/decide/index/text-trie.ts';

function idsByText(texts: readonly string[], firstId = 0): Map<string, number[]> {
  return new Map(texts.map((text, at) => [text, [firstId + at]]));
}

function trieOf(texts: readonly string[], words = 0): TextTrie {
  return buildPrefixTrie(idsByText(texts), words) as TextTrie;
}

function idsOf(posting: Posting | undefined): readonly number[] {
  const ids: number[] = [];
  for (let link = posting; link !== undefined; link = link.parent) ids.push(...link.ids);
  return ids.toSorted((left, right) => left - right);
}

describe('buildPrefixTrie', () => {
  const texts: readonly string[] = ['/a', '/a/b', '/a/b/c', '/ab', '/x', '', '/a/\u00e9', '/a/b/cdefgh'];

  for (const asked of [
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
    it(`finds every prefix of ${JSON.stringify(asked)}`, () => {
      const wanted = texts.flatMap((text, id) => (asked.startsWith(text) ? [id] : []));

      expect(idsOf(trieOf(texts).find(asked, 0))).to.deep.equal(wanted);
    });
  }

  for (const asked of ['/a', '/a/', '/a/b', '/a/b/x', '/q', '/q/r', '', '/ab']) {
    it(`finds ${JSON.stringify(asked)} itself and its prefixes`, () => {
      const prefixes = ['/a/', '/a', '/q/r/s'];
      const whole = ['/a', '/a/b', '/q', '', '/ab'];
      const wanted = [...prefixes.map((text) => asked.startsWith(text)), ...whole.map((text) => asked === text)];
      const trie = buildPrefixTrie(idsByText(prefixes), 0, idsByText(whole, prefixes.length)) as TextTrie;

      expect(idsOf(trie.find(asked, 0))).to.deep.equal(wanted.flatMap((isHit, id) => (isHit ? [id] : [])));
      expect(trie.worst).to.equal(3);
    });
  }

  it('begins where it is told to', () => {
    expect(idsOf(trieOf(['b/', 'b/c']).find('a/b/c', 2))).to.deep.equal([0, 1]);
  });

  it('knows the longest chain', () => {
    expect(trieOf(['a', 'ab', 'abc', 'b']).worst).to.equal(3);
  });

  it('is nothing without texts', () => {
    expect(buildPrefixTrie(new Map(), 0)).to.equal(undefined);
  });

  it('takes texts nested a thousand deep', () => {
    const nested = Array.from({ length: 1000 }, (_, depth) => 'a'.repeat(depth + 1));

    expect(idsOf(trieOf(nested).find('a'.repeat(700), 0))).to.have.length(700);
    expect(trieOf(nested, 32).find('a'.repeat(700), 0)?.total).to.equal(700);
  });
});

describe('buildSuffixTrie', () => {
  for (const asked of ['', 'c', 'b/c', '/a/b/c', 'x/a', '/b', 'cdefgh', 'zab']) {
    it(`finds every suffix of ${JSON.stringify(asked)}`, () => {
      const suffixes = ['c', '/c', 'b/c', 'ab', 'b', '/a', 'zzab'];
      const wanted = suffixes.flatMap((text, id) => (asked.endsWith(text) ? [id] : []));

      expect(idsOf((buildSuffixTrie(idsByText(suffixes), 0) as TextTrie).find(asked, 0))).to.deep.equal(wanted);
    });
  }

  it('is nothing without texts', () => {
    expect(buildSuffixTrie(new Map(), 0)).to.equal(undefined);
  });
});

describe('createPosting', () => {
  it('keeps the union of a long chain as bits', () => {
    const parent = createPosting([1, 2, 3], undefined, 2);
    const child = createPosting(
      Array.from({ length: 40 }, (_, id) => id + 10),
      parent,
      2,
    );

    expect(child.total).to.equal(43);
    expect([...(child.bits as Int32Array)]).to.deep.equal([0b1110 | (-1 << 10), 2 ** 18 - 1]);
  });
});
