/* REST paths of resources. */
import { expect } from 'chai';
import { CONFIG_MAPS, collectionPath, LEASES, NAMESPACES, objectPath, PODS } from '../../../src/cluster/paths.ts';

describe('collectionPath and objectPath', () => {
  for (const { name, path, expected } of [
    { name: 'a core collection everywhere', path: () => collectionPath(PODS), expected: '/api/v1/pods' },
    {
      name: 'a core collection in a namespace',
      path: () => collectionPath(CONFIG_MAPS, 'foo'),
      expected: '/api/v1/namespaces/foo/configmaps',
    },
    {
      name: 'an object of a group',
      path: () => objectPath({ resource: LEASES, namespace: 'foo', name: 'x' }),
      expected: '/apis/coordination.k8s.io/v1/namespaces/foo/leases/x',
    },
    { name: 'a cluster-scoped object', path: () => objectPath({ resource: NAMESPACES, name: 'foo' }), expected: '/api/v1/namespaces/foo' },
    {
      name: 'a name with reserved characters',
      path: () => objectPath({ resource: PODS, namespace: 'foo', name: 'a/b?c' }),
      expected: '/api/v1/namespaces/foo/pods/a%2Fb%3Fc',
    },
  ]) {
    it(`return the path of ${name}`, () => {
      expect(path()).to.equal(expected);
    });
  }

  it('reject names that would reach another path', () => {
    for (const name of ['', '.', '..']) expect(() => objectPath({ resource: PODS, namespace: 'foo', name })).to.throw('not a name');
    expect(() => objectPath({ resource: PODS, namespace: '..', name: 'x' })).to.throw('not a name');
    expect(() => objectPath({ resource: PODS, name: 'x' })).to.throw('a namespace is needed');
    expect(() => objectPath({ resource: NAMESPACES, namespace: 'foo', name: 'x' })).to.throw('has no namespace');
  });
});
