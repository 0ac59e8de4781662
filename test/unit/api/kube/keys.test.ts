/* Keys of objects, workloads and policies: each parse function reads what its make function wrote. */
import { expect } from 'chai';
import {
  objectKey,
  parseObjectKey,
  parsePolicyKey,
  parseWorkloadKey,
  policyKey,
  policyKeyOf,
  workloadKey,
} from '../../../../src/api/kube/keys.ts';

describe('keys of Kubernetes objects', () => {
  it('joins namespace and name, and parses them back', () => {
    expect(objectKey('foo', 'web')).to.equal('foo/web');
    expect(parseObjectKey('foo/web')).to.deep.equal({ namespace: 'foo', name: 'web' });
    expect(workloadKey({ namespace: 'foo', kind: 'deployment', name: 'web' })).to.equal('foo/deployment/web');
    expect(parseWorkloadKey('foo/deployment/web')).to.deep.equal({ namespace: 'foo', kind: 'deployment', name: 'web' });
  });

  it('has an empty namespace for a cluster-scoped object', () => {
    expect(objectKey('', 'foo')).to.equal('/foo');
    expect(parseObjectKey('/foo')).to.deep.equal({ namespace: '', name: 'foo' });
  });

  it('puts the kind in front of the key of a policy', () => {
    const key = 'AuthorizationPolicy/foo/p';
    expect(policyKey('AuthorizationPolicy', 'foo', 'p')).to.equal(key);
    expect(policyKeyOf({ kind: 'AuthorizationPolicy', metadata: { namespace: 'foo', name: 'p' } })).to.equal(key);
    expect(parsePolicyKey(key)).to.deep.equal({ kind: 'AuthorizationPolicy', namespace: 'foo', name: 'p' });
  });
});
