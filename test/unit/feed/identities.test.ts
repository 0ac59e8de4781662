import { expect } from 'chai';
import { encodeQuestion, encodeUpdate, type IdentityUpdate, parseQuestion, parseUpdate } from '../../../src/feed/identities.ts';

const ENTRY = ['10.0.0.1', 'shop', 'web', 'abc'] as const;

describe('frames with identities', () => {
  it('are read as they were written', () => {
    const updates: readonly IdentityUpdate[] = [
      { kind: 'table', version: 3, isFirst: true, isLast: false, trustDomain: 'cluster.local', put: [ENTRY] },
      { kind: 'change', from: 3, version: 4, put: [], drop: ['10.0.0.1'] },
      { kind: 'current', version: 4, askedMs: 12 },
    ];
    for (const update of updates) expect(parseUpdate(encodeUpdate(update))).to.deep.equal(update);
    expect(parseQuestion(encodeQuestion({ version: 0, askedMs: 5 }))).to.deep.equal({ version: 0, askedMs: 5 });
  });

  for (const text of [
    '',
    '[]',
    'null',
    '{}',
    '{"version":-1,"askedMs":0}',
    '{"version":0.5,"askedMs":0}',
    '{"version":0,"askedMs":0,"more":1}',
  ]) {
    it(`refuse the question ${text}`, () => {
      expect(parseQuestion(Buffer.from(text))).to.equal(undefined);
    });
  }

  for (const value of [
    { kind: 'current', version: 1 },
    { kind: 'other', version: 1, put: [] },
    { kind: 'table', version: 1, isFirst: 1, isLast: true, trustDomain: '', put: [] },
    { kind: 'table', version: 1, isFirst: true, isLast: true, put: [] },
    { kind: 'change', from: 0, version: 1, put: [['10.0.0.1', 'a', 'b']], drop: [] },
    { kind: 'change', from: 0, version: 1, put: [], drop: [1] },
    { kind: 'change', version: 1, put: [], drop: [] },
  ]) {
    it(`refuse the update ${JSON.stringify(value)}`, () => {
      expect(parseUpdate(Buffer.from(JSON.stringify(value)))).to.equal(undefined);
    });
  }
});
