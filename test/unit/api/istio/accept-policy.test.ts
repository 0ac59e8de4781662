/* Which version of a policy is active after valid and invalid updates. */
import { expect } from 'chai';
import { acceptPolicy } from '../../../../src/api/istio/accept-policy.ts';

function policy(spec: unknown, uid = 'u1'): unknown {
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { namespace: 'foo', name: 'p', uid }, spec };
}

const good = policy({ rules: [{ to: [{ operation: { ports: ['80'] } }] }] });
const bad = policy({ rules: [{ to: [{ operation: { ports: ['http'] } }] }] });
const unparsable = policy({ rules: 'all' });

describe('acceptPolicy', () => {
  it('activates a valid version', () => {
    const version = acceptPolicy(undefined, good);

    expect(version).to.include({ isValid: true, isNewest: true });
    expect(version.findings).to.deep.equal([]);
    expect(version.active?.spec).to.deep.equal({ action: 'ALLOW', rules: [{ to: [{ operation: { ports: ['80'] } }] }] });
  });

  it('keeps the last valid version after repeated invalid updates', () => {
    const first = acceptPolicy(undefined, good);
    const second = acceptPolicy(acceptPolicy(first, bad), unparsable);

    expect(second).to.include({ isValid: true, isNewest: false });
    expect(second.active).to.equal(first.active);
    expect(second.findings.some(({ severity }) => severity === 'error')).to.equal(true);
  });

  it('activates an invalid version that can be parsed when there was never a valid one', () => {
    const version = acceptPolicy(undefined, bad);

    expect(version).to.include({ isValid: false, isNewest: true });
    expect(version.active).to.not.equal(undefined);
    expect(acceptPolicy(version, good)).to.include({ isValid: true, isNewest: true });
  });

  it('keeps the last valid version when Envoy would refuse the new one', () => {
    const refused = policy({ rules: [{ when: [{ key: 'request.auth.claims[a][]', values: ['b'] }] }] });
    const first = acceptPolicy(undefined, good);
    const second = acceptPolicy(first, refused);

    expect(second.active).to.equal(first.active);
    expect(second.findings.map(({ stage, path }) => `${stage} ${path}`)).to.deep.equal(['envoy spec.rules[0].when[0].key']);
    expect(acceptPolicy(undefined, refused)).to.include({ isValid: false, isNewest: true });
  });

  it('replaces one invalid version by the next when there was never a valid one', () => {
    const version = acceptPolicy(acceptPolicy(undefined, bad), policy({ action: 'DENY' }));

    expect(version.active?.spec).to.deep.equal({ action: 'DENY' });
  });

  it('activates nothing when no version could ever be parsed', () => {
    const version = acceptPolicy(undefined, unparsable);

    expect(version).to.include({ isValid: false, isNewest: false });
    expect(version.active).to.equal(undefined);
  });

  it('does not keep the version of a deleted policy when one with the same name is created', () => {
    const version = acceptPolicy(acceptPolicy(undefined, good), policy({ action: 'DENY' }, 'u2'));

    expect(version).to.include({ isValid: false, isNewest: true });
    expect(version.active?.metadata.uid).to.equal('u2');
  });

  it('rejects objects that are not policies', () => {
    for (const thing of [null, 5, [], {}, { kind: 'Pod' }]) {
      expect(acceptPolicy(undefined, thing).active).to.equal(undefined);
      expect(acceptPolicy(undefined, thing).findings).to.have.length.greaterThan(0);
    }
  });
});
