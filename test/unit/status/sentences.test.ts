import { expect } from 'chai';
import type { PolicyEntry } from '../../../src/state/cluster-state.ts';
import { describeActive, describeRefusal, listNames, sentences } from '../../../src/status/sentences.ts';

describe('phrases of conditions', () => {
  it('list three names, and the number of the others', () => {
    expect(listNames([])).to.equal('');
    expect(listNames(['a', 'b', 'c'])).to.equal('a, b, c');
    expect(listNames(['a', 'b', 'c', 'd'])).to.equal('a, b, c, and 1 more');
    expect(listNames(['a', 'b', 'c', 'd', 'e'], '; ')).to.equal('a; b; c; and 2 more');
  });

  it('join the sentences that are not empty', () => {
    expect(sentences(['a', '', 'b'])).to.equal('a. b');
    expect(sentences(['', ''])).to.equal('');
  });

  it('begin a refusal with a capital letter, and end it with its hint', () => {
    const finding = { code: 'SP_OVER_BUDGET', severity: 'error', path: '', message: 'too large' } as const;

    expect(describeRefusal(finding)).to.equal('Too large');
    expect(describeRefusal({ ...finding, hint: 'split it' })).to.equal('Too large (split it)');
  });

  it('say which version is active', () => {
    const active = { kind: 'AuthorizationPolicy', metadata: { namespace: 'foo', name: 'p', generation: 3 }, spec: {} };
    const entry = (over: object): PolicyEntry => ({ active, lastGood: active, ...over }) as unknown as PolicyEntry;

    expect(describeActive(entry({}))).to.equal('Generation 3 remains active');
    expect(describeActive(entry({ active: undefined }))).to.equal('No version of this policy is active');
    expect(describeActive(entry({ lastGood: undefined }))).to.match(/^The readable part/);
    expect(describeActive(entry({ refusal: { message: 'too large' } }))).to.equal('Too large');
    const { generation: _, ...fromFile } = active.metadata;
    const file = { ...active, metadata: fromFile };
    expect(describeActive(entry({ active: file, lastGood: file }))).to.equal('Generation 0 remains active');
  });
});
