/* The index that limits which policies lint compares. */
import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { createNeighbours } from '../../../src/lint/neighbours.ts';
import { canMeet } from '../../../src/lint/shared/selection.ts';
import { ap } from './policies.ts';

const ROOT = 'istio-system';
const NAMESPACES = [ROOT, 'foo', 'bar'];
const SELECTORS: readonly (Readonly<Record<string, string>> | undefined)[] = [
  undefined,
  { app: 'a' },
  { app: 'b' },
  { app: 'a', version: '1' },
  { version: '2' },
  { constructor: 'x' },
];
const POLICIES: readonly Policy[] = NAMESPACES.flatMap((namespace) =>
  SELECTORS.map((matchLabels, index) =>
    ap(matchLabels === undefined ? {} : { selector: { matchLabels } }, { name: `p${index}`, namespace }),
  ),
);

describe('createNeighbours', () => {
  const neighbours = createNeighbours(POLICIES, ROOT);

  it('returns every policy that can select the same pod', () => {
    for (const policy of POLICIES) {
      expect(neighbours(policy)).to.include.members(POLICIES.filter((other) => canMeet(policy, other, ROOT)));
    }
  });

  it('returns each policy once, without other namespaces and other values of the most common label', () => {
    const [policy] = POLICIES.filter(({ metadata, spec }) => metadata.namespace === 'foo' && spec.selector?.matchLabels?.['app'] === 'b');
    const near = policy === undefined ? [] : neighbours(policy);

    expect(new Set(near).size).to.equal(near.length);
    expect(near.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`)).to.have.members(
      [ROOT, 'foo'].flatMap((namespace) => ['p0', 'p2', 'p4', 'p5'].map((name) => `${namespace}/${name}`)),
    );
  });
});
