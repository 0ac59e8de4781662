/* Which version of a policy is in force after good and bad updates. */
import { expect } from 'chai';
import { acceptPolicy } from '../../../../src/api/istio/accept-policy.ts';

function policy(spec: unknown, uid = 'u1'): unknown {
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { namespace: 'foo', name: 'p', uid }, spec };
}

const good = policy({ rules: [{ to: [{ operation: { ports: ['80'] } }] }] });
const bad = policy({ rules: [{ to: [{ operation: { ports: ['http'] } }] }] });
const unreadable = policy({ rules: 'all' });

describe('acceptPolicy', () => {
  it('takes a valid version', () => {
    const version = acceptPolicy(undefined, good);

    expect(version).to.include({ isValid: true, isNewest: true });
    expect(version.findings).to.deep.equal([]);
    expect(version.inForce?.spec).to.deep.equal({ action: 'ALLOW', rules: [{ to: [{ operation: { ports: ['80'] } }] }] });
  });

  it('keeps the last valid version when an update is invalid, again and again', () => {
    const first = acceptPolicy(undefined, good);
    const second = acceptPolicy(acceptPolicy(first, bad), unreadable);

    expect(second).to.include({ isValid: true, isNewest: false });
    expect(second.inForce).to.equal(first.inForce);
    expect(second.findings.some(({ severity }) => severity === 'error')).to.equal(true);
  });

  it('enforces an invalid version that can be read when there never was a valid one', () => {
    const version = acceptPolicy(undefined, bad);

    expect(version).to.include({ isValid: false, isNewest: true });
    expect(version.inForce).to.not.equal(undefined);
    expect(acceptPolicy(version, good)).to.include({ isValid: true, isNewest: true });
  });

  it('follows invalid versions among each other', () => {
    const version = acceptPolicy(acceptPolicy(undefined, bad), policy({ action: 'DENY' }));

    expect(version.inForce?.spec).to.deep.equal({ action: 'DENY' });
  });

  it('enforces nothing when no version could ever be read', () => {
    const version = acceptPolicy(undefined, unreadable);

    expect(version).to.include({ isValid: false, isNewest: false });
    expect(version.inForce).to.equal(undefined);
  });

  it('does not take the past of a deleted policy for that of a new one of the same name', () => {
    const version = acceptPolicy(acceptPolicy(undefined, good), policy({ action: 'DENY' }, 'u2'));

    expect(version).to.include({ isValid: false, isNewest: true });
    expect(version.inForce?.metadata.uid).to.equal('u2');
  });

  it('refuses what is no policy at all', () => {
    for (const thing of [null, 5, [], {}, { kind: 'Pod' }]) {
      expect(acceptPolicy(undefined, thing).inForce).to.equal(undefined);
      expect(acceptPolicy(undefined, thing).findings).to.have.length.greaterThan(0);
    }
  });
});
