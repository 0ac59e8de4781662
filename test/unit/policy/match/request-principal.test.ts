/*
 * Request principals: how values are split, and what they match.
 */
import { expect } from 'chai';
import type { Json } from '../../../../src/policy/facts.ts';
import { compileRequestPrincipal, parseRequestPrincipal } from '../../../../src/policy/match/request-principal.ts';

const PRESENT = { kind: 'present' };
const exact = (value: string): unknown => ({ kind: 'exact', value });

describe('request principal', () => {
  const cuts: readonly (readonly [string, unknown, unknown])[] = [
    ['*', PRESENT, PRESENT],
    ['iss/sub', exact('iss'), exact('sub')],
    ['https://iss/a/b', exact('https://iss/a'), exact('b')],
    ['iss', exact('iss'), exact('')],
    ['iss/', exact('iss'), exact('')],
    ['*/sub', PRESENT, exact('sub')],
    ['*/*', PRESENT, exact('*')],
    ['*x/sub', { kind: 'suffix', value: 'x' }, exact('sub')],
    ['*sub', PRESENT, { kind: 'suffix', value: 'sub' }],
    ['iss/*', exact('iss'), PRESENT],
    ['iss/s*', exact('iss'), { kind: 'prefix', value: 's' }],
    ['iss*', { kind: 'prefix', value: 'iss' }, PRESENT],
  ];
  for (const [text, iss, sub] of cuts) {
    it(`splits ${text}`, () => {
      expect(parseRequestPrincipal(text)).to.deep.equal({ iss, sub });
    });
  }

  const outcomes: readonly (readonly [string, Json | undefined, Json | undefined, boolean])[] = [
    ['*', 'i', 's', true],
    ['*', 'i', '', false],
    ['*', 'i', undefined, false],
    ['*', undefined, 's', false],
    ['*', ['i'], 's', false],
    ['i/s', 'i', 's', true],
    ['i/s', 'i', 't', false],
    ['i/s', 'j', 's', false],
    ['i/s', 'i', 5, false],
  ];
  for (const [text, iss, sub, matches] of outcomes) {
    it(`${text} ${matches ? 'matches' : 'does not match'} iss ${JSON.stringify(iss)} sub ${JSON.stringify(sub)}`, () => {
      expect(compileRequestPrincipal(parseRequestPrincipal(text))(iss, sub)).to.equal(matches);
    });
  }
});
