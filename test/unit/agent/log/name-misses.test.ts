/*
 * Which requests that no ALLOW rule matched are named, when naming takes longer than its budget. The clock stands still unless a search
 * takes time.
 */
import { expect } from 'chai';
import { nameMisses } from '../../../../src/agent/log/name-misses.ts';
import { systemClock } from '../../../../src/clock.ts';
import type { MissNaming } from '../../../../src/filters/filter-context.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import type { NearMisses } from '../../../../src/policy/decide/decision.ts';
import { factsWith } from '../../policy/decide/fixtures.ts';

/** Of the search for one near miss. */
const COST_MS = 0.5;
const ANY = LIMITS.nearMissTime.value / COST_MS;
const FIRST = LIMITS.firstNearMissTime.value / COST_MS;

describe('nameMisses', () => {
  let nowMs = 0;
  let wallMs = 0;
  let searches = 0;
  let name: MissNaming;
  beforeEach(() => {
    [nowMs, wallMs, searches] = [0, 10_000, 0];
    name = nameMisses({ ...systemClock, nowMs: () => nowMs });
  });

  /** The first segment of a path names the policy that it misses. */
  const missesOf = (policies: number): NearMisses => ({
    policies,
    nearest: ({ path }) => {
      searches += 1;
      nowMs += COST_MS;
      const [, policy = ''] = path.split('/');
      const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: policy, generation: 1, rule: 0 } as const;
      return { source, clause: 'to[0].paths', failing: 1 };
    },
  });
  const ask = (misses: NearMisses, path: string): string | undefined =>
    name(misses, factsWith({ pathWithQuery: path }), Math.floor(wallMs / 1000))?.source.name;

  it('names every miss while there are few', () => {
    const misses = missesOf(1);
    expect(Array.from({ length: ANY }, () => ask(misses, '/a'))).to.deep.equal(Array(ANY).fill('a'));
  });

  it('searches no longer when each policy has a named miss in this second', () => {
    const misses = missesOf(1);
    for (let at = 0; at < 1000; at++) ask(misses, `/a/${at}`);
    expect(searches).to.equal(ANY);
  });

  it('names the first miss of a policy behind a flood of equal misses of another', () => {
    const misses = missesOf(2);
    for (let at = 0; at < 1000; at++) ask(misses, '/a');
    expect(ask(misses, '/b')).to.equal('b');
    expect(ask(misses, '/b')).to.equal(undefined);
    // Once more for the flood: until then it may be the first miss of the other policy.
    expect(searches).to.equal(ANY + 2);
  });

  it('names the first miss of a policy behind different misses of another, as long as they cost less than the budget', () => {
    const misses = missesOf(2);
    for (let at = 0; at < FIRST - 1; at++) ask(misses, `/a/${at}`);
    expect(ask(misses, '/b')).to.equal('b');
  });

  it('never spends more than its budget in a second', () => {
    const misses = missesOf(1000);
    for (let at = 0; at < 5000; at++) ask(misses, `/${at % 900}/${at}`);
    expect(searches).to.equal(FIRST);
  });

  it('begins again in the next second', () => {
    const misses = missesOf(2);
    for (let second = 0; second < 3; second++) {
      for (let at = 0; at < 1000; at++) ask(misses, `/a/${at}`);
      wallMs += 1000;
      expect(ask(misses, '/a/0')).to.equal('a');
    }
  });

  it('takes from the next seconds what a long search spends beyond its budget', () => {
    const slow: NearMisses = {
      policies: 1,
      nearest: (facts) => {
        nowMs += 35 - COST_MS;
        return missesOf(1).nearest(facts);
      },
    };
    const named = Array.from({ length: 10 }, () => {
      wallMs += 1000;
      return Array.from({ length: 50 }, (_, at) => ask(slow, `/a/${at}`)).filter((name) => name !== undefined).length;
    });
    // The first search, which compiles rules, counts as short.
    expect(named).to.deep.equal([2, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
  });

  it('begins again with the policies of another bundle, within the same budget', () => {
    for (let at = 0; at < 100; at++) ask(missesOf(1), '/a');
    expect(searches).to.equal(FIRST);
  });
});
