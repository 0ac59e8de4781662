import { expect } from 'chai';
import { parsePolicy } from '../../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../../src/api/istio/resources.ts';
import { toManifest } from '../../../../src/api/istio/to-manifest.ts';

function parsed(object: object): Policy {
  const { value } = parsePolicy(object);
  if (value === undefined) throw new Error('not a policy');
  return value;
}

const metadata = {
  name: 'p',
  namespace: 'foo',
  uid: 'u',
  generation: 3,
  creationTimestamp: '2026-01-01T00:00:00Z',
  annotations: { 'istio.io/dry-run': 'true' },
};
const apiVersion = 'security.istio.io/v1beta1';

describe('toManifest', () => {
  it('gives an object that parses to the same policy', () => {
    const policies = [
      {
        apiVersion,
        kind: 'RequestAuthentication',
        metadata,
        spec: {
          selector: { matchLabels: { app: 'a' } },
          jwtRules: [
            {
              issuer: 'i',
              audiences: ['a'],
              jwksUri: 'https://i/keys',
              timeout: '1.5s',
              fromHeaders: [{ name: 'x', prefix: 'P ' }],
              fromParams: ['p'],
              fromCookies: ['c'],
              outputClaimToHeaders: [{ header: 'x-c', claim: 'c' }],
              outputPayloadToHeader: 'x-p',
              forwardOriginalToken: true,
            },
            { issuer: 'j', jwks: '{"keys":[]}', timeout: '0.000000001s' },
          ],
        },
      },
      {
        apiVersion,
        kind: 'AuthorizationPolicy',
        metadata,
        spec: {
          targetRef: { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' },
          action: 'CUSTOM',
          provider: { name: 'ext' },
          rules: [
            {},
            {
              from: [{ source: { ipBlocks: ['10.0.0.0/8'] } }],
              to: [{ operation: { notPaths: ['/a'] } }],
              when: [{ key: 'source.ip', values: ['::1'] }],
            },
          ],
        },
      },
      { apiVersion, kind: 'AuthorizationPolicy', metadata: { name: 'empty', namespace: 'foo' }, spec: {} },
    ];
    for (const object of policies) {
      const policy = parsed(object);
      expect(parsed(JSON.parse(JSON.stringify(toManifest(policy))) as object)).to.deep.equal(policy);
    }
  });
});
