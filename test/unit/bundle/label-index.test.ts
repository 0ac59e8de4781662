import { expect } from 'chai';
import { formatLabelIndex, isSelected, parseLabelIndex } from '../../../src/bundle/label-index.ts';
import { RefusedError } from '../../../src/errors.ts';

describe('the index of a namespace', () => {
  it('is read as it was written', () => {
    const index = { namespace: 'foo', selectors: [{ app: 'a' }, { app: 'b', tier: 'c' }] };

    expect(parseLabelIndex(formatLabelIndex(index))).to.deep.equal(index);
    expect(formatLabelIndex({ selectors: [], namespace: 'foo' })).to.equal('{"namespace":"foo","selectors":[]}');
  });

  for (const json of [
    '',
    'null',
    '[]',
    '{}',
    '{"namespace":"foo"}',
    '{"selectors":[]}',
    '{"namespace":1,"selectors":[]}',
    '{"namespace":"foo","selectors":[{"app":1}]}',
    '{"namespace":"foo","selectors":[null]}',
    '{"namespace":"foo","selectors":[],"extra":1}',
  ]) {
    it(`is refused as ${json}`, () => {
      expect(() => parseLabelIndex(json))
        .to.throw(RefusedError, 'the index of the namespace has an unknown form')
        .with.property('code', 'SP_BUNDLE_SCHEMA');
    });
  }

  it('selects labels that have every pair', () => {
    expect(isSelected({ app: 'a' }, { app: 'a', tier: 'b' })).to.equal(true);
    expect(isSelected({}, {})).to.equal(true);
    expect(isSelected({ app: 'a', tier: 'b' }, { app: 'a' })).to.equal(false);
    expect(isSelected({ app: 'a' }, { app: 'b' })).to.equal(false);
    expect(isSelected({ constructor: 'a' }, {})).to.equal(false);
  });
});
