import { expect } from 'chai';
import { misspeltPolicy } from '../../../../src/api/kube/misspelt-policy.ts';

describe('misspeltPolicy', () => {
  for (const [apiVersion, kind, path, hint] of [
    ['security.istio.io/v1', 'AuthorisationPolicy', 'kind', 'did you mean AuthorizationPolicy?'],
    ['security.istio.io/v1', 'authorizationpolicy', 'kind', 'did you mean AuthorizationPolicy?'],
    ['security.istio.io/v1', 'AuthorizationPolicies', 'kind', 'did you mean AuthorizationPolicy?'],
    ['security.istio.io/v1beta1', 'RequestAuthentification', 'kind', 'did you mean RequestAuthentication?'],
    ['security.istio.io/v1', 'Policy', 'kind', 'did you mean AuthorizationPolicy or RequestAuthentication?'],
    ['security.istio.oi/v1', 'AuthorizationPolicy', 'apiVersion', 'did you mean security.istio.io/v1?'],
    ['secruity.istio.io/v1', 'RequestAuthentication', 'apiVersion', 'did you mean security.istio.io/v1?'],
    ['networking.istio.io/v1', 'AuthorizationPolicy', 'apiVersion', 'did you mean security.istio.io/v1?'],
    ['istio.io/v1', 'AuthorizationPolicy', 'apiVersion', 'did you mean security.istio.io/v1?'],
    ['v1', 'AuthorizationPolicy', 'apiVersion', 'did you mean security.istio.io/v1?'],
    ['security.istio.io/v2', 'AuthorizationPolicy', 'apiVersion', 'did you mean security.istio.io/v1?'],
    ['security.istio.oi/v1', 'AuthorisationPolicy', 'kind', 'did you mean AuthorizationPolicy of security.istio.io/v1?'],
  ] as const) {
    it(`reports ${kind} of ${apiVersion}`, () => {
      const finding = misspeltPolicy({ apiVersion, kind });

      expect([finding?.severity, finding?.path, finding?.hint]).to.deep.equal(['error', path, hint]);
    });
  }

  for (const [apiVersion, kind] of [
    ['security.istio.io/v1', 'AuthorizationPolicy'],
    ['security.istio.io/v1beta1', 'RequestAuthentication'],
    ['security.istio.io/v1', 'PeerAuthentication'],
    ['policy.linkerd.io/v1alpha1', 'AuthorizationPolicy'],
    ['apps/v1', 'Deployment'],
    ['v1', 'Pod'],
    ['networking.istio.io/v1', 'VirtualService'],
    ['policy/v1', 'PodDisruptionBudget'],
  ] as const) {
    it(`accepts ${kind} of ${apiVersion}`, () => {
      expect(misspeltPolicy({ apiVersion, kind })).to.equal(undefined);
    });
  }
});
