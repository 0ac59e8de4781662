/*
 * Labels from the downward API.
 */
import { expect } from 'chai';
import { parsePodLabels } from '../../../../src/agent/bundles/pod-labels.ts';
import { RefusedError } from '../../../../src/errors.ts';

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
