/*
 * Labels from the downward API, and the choice of a program by them.
 */
import { expect } from 'chai';
import { chooseProgram } from '../../../../src/agent/bundles/choose-program.ts';
import { parsePodLabels } from '../../../../src/agent/bundles/pod-labels.ts';
import { RefusedError } from '../../../../src/errors.ts';
import { ALLOW_ALL, bundleOf, DENY_ALL } from '../bundles.ts';

describe('parsePodLabels', () => {
  it('reads one label per line', () => {
    expect(parsePodLabels('app="a"\nexample.com/tier="x.y_z-1"\nempty=""\n')).to.deep.equal({
      app: 'a',
      'example.com/tier': 'x.y_z-1',
      empty: '',
    });
    expect(parsePodLabels('')).to.deep.equal({});
  });

  for (const text of ['app', 'app=a', 'app="a', 'app="a\\n"', 'a b="c"', '="c"']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parsePodLabels(text)).to.throw(RefusedError);
    });
  }
});

describe('chooseProgram', () => {
  const bundle = bundleOf(
    [DENY_ALL, ALLOW_ALL],
    [
      { labels: {}, program: 0 },
      { labels: { app: '' }, program: 1 },
    ],
  );

  it('distinguishes an absent label from an empty one', () => {
    expect(chooseProgram(bundle, {})).to.equal(DENY_ALL);
    expect(chooseProgram(bundle, { app: '' })).to.equal(ALLOW_ALL);
    expect(chooseProgram(bundle, { app: 'x' })).to.equal(undefined);
  });

  it('does not match labels with names of the object prototype', () => {
    const odd = bundleOf([DENY_ALL], [{ labels: { constructor: 'x' }, program: 0 }]);
    expect(chooseProgram(odd, {})).to.equal(undefined);
  });

  it('needs no labels when there is only one variant', () => {
    expect(chooseProgram(bundle, undefined)).to.equal(undefined);
    expect(chooseProgram(bundleOf([DENY_ALL], [{ labels: { a: 'b' }, program: 0 }]), undefined)).to.equal(DENY_ALL);
  });
});
