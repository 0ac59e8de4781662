import { expect } from 'chai';
import { createFlipGroups, flipGroupValue, formatFlips } from '../../../../src/cli/output/flips.ts';
import type { ExplainedDecision, Flip } from '../../../../src/explain/diff-decisions.ts';
import { Collected } from '../../../support/cli-context.ts';

type Flipped = Parameters<ReturnType<typeof createFlipGroups>['add']>[2];

const BEFORE: ExplainedDecision = {
  verdict: { outcome: 'allow' },
  decidedBy: { stage: 'authorization', text: 'an ALLOW rule matched', rule: { kind: 'AuthorizationPolicy', policy: 'foo/a', rule: 0 } },
};
const AFTER: ExplainedDecision = {
  verdict: { outcome: 'deny', status: 403 },
  decidedBy: { stage: 'authorization', text: 'no rule matched' },
};

function flip(kind: string): Flip {
  return { kind, explain: () => ({ before: BEFORE, after: AFTER }) };
}

function flipped(index: number, target = '/a', claims?: Flipped['claims']): Flipped {
  return {
    index,
    request: { method: 'GET', target, headers: ['authorization', 'Bearer secret'] } as unknown as Flipped['request'],
    claims,
  };
}

describe('createFlipGroups', () => {
  it('groups flips by workload and kind, largest group first', () => {
    const found = createFlipGroups(1);
    found.add('foo/a', flip('one'), flipped(0));
    found.add('foo/b', flip('two'), flipped(1));
    found.add('foo/b', flip('two'), flipped(2));
    found.add('foo/b', flip('one'), flipped(3));

    expect(found.groups().map(({ workload, count }) => [workload, count])).to.deep.equal([
      ['foo/b', 2],
      ['foo/a', 1],
      ['foo/b', 1],
    ]);
  });

  it('keeps the first examples of a group and counts the others', () => {
    const found = createFlipGroups(2);
    for (let index = 0; index < 5; index++) found.add('foo/a', flip('one'), flipped(index));
    const [group] = found.groups();

    expect([group?.count, group?.examples.map(({ index }) => index)]).to.deep.equal([5, [0, 1]]);
  });

  it('explains only the first flip of a group', () => {
    let explained = 0;
    const counting: Flip = {
      kind: 'one',
      explain: () => {
        explained += 1;
        return { before: BEFORE, after: AFTER };
      },
    };
    const found = createFlipGroups(9);
    for (let index = 0; index < 3; index++) found.add('foo/a', counting, flipped(index));

    expect(explained).to.equal(1);
  });
});

describe('formatFlips', () => {
  it("is '' without groups", () => {
    expect(formatFlips([], new Collected())).to.equal('');
  });

  it('names the rule that decided, or the reason when no rule did', () => {
    const found = createFlipGroups(1);
    found.add('foo/a', flip('one'), flipped(4, '/a', { iss: 'me' }));
    const [, row = ''] = formatFlips(found.groups(), new Collected()).split('\n');

    expect(row.split(/ {2,}/)).to.deep.equal([
      '1',
      'foo/a',
      'allow',
      'deny 403',
      'AuthorizationPolicy foo/a rules[0] -> no rule matched',
      '#4 GET /a',
      '{"iss":"me"}',
    ]);
  });
});

describe('flipGroupValue', () => {
  it('has examples without headers and with a redacted target', () => {
    const found = createFlipGroups(1);
    found.add('foo/a', flip('one'), flipped(0, '/?token=abc'));

    expect(found.groups().map(flipGroupValue)).to.deep.equal([
      {
        workload: 'foo/a',
        count: 1,
        before: BEFORE,
        after: AFTER,
        examples: [{ index: 0, method: 'GET', target: '/?token=…' }],
      },
    ]);
  });
});
