import { expect } from 'chai';
import { compileNames } from '../../../../src/agent/ext-authz/header-patterns.ts';

describe('patterns of header names', () => {
  const matches = (pattern: string, name: string): boolean | undefined => compileNames([pattern])?.(name);

  for (const [pattern, matching, others] of [
    ['X-User', ['x-user'], ['x-users', 'a-x-user', '']],
    ['X-*', ['x-', 'x-user'], ['x', 'ax-']],
    ['*-ID', ['-id', 'x-id'], ['id', 'x-ids']],
    ['*', [], ['', 'x', '*']],
    ['', [''], ['x']],
    ['*x*', ['*x', '*xy'], ['x', 'axb']],
  ] as const) {
    it(`"${pattern}" match ${matching.join(' and ') || 'nothing'}`, () => {
      for (const name of matching) expect(matches(pattern, name), name).to.equal(true);
      for (const name of others) expect(matches(pattern, name), name).to.equal(false);
    });
  }

  it('match when one of them does, and are absent without patterns', () => {
    const test = compileNames(['a', 'b-*']);

    expect(['a', 'b-1', 'c'].map((name) => test?.(name))).to.deep.equal([true, true, false]);
    expect(compileNames([])).to.equal(undefined);
    expect(compileNames(undefined)).to.equal(undefined);
  });
});
