/*
 * Which fields of a policy nobody can judge without knowing who the peer is. In: an AuthorizationPolicy. Out: one warning per
 * such field. Agents see plain HTTP without a client certificate, so these fields match no request until proxies in front
 * are trusted to tell who the peer is. Called by the status writer, the checks of the CLI and the webhook.
 */
import type { AuthorizationPolicy, Source } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';

const SOURCE_FIELDS: readonly (keyof Source)[] = [
  'principals',
  'notPrincipals',
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
];
const CONDITION_KEYS: readonly string[] = [
  'source.principal',
  'source.namespace',
  'source.serviceAccount',
  'source.trustDomain',
  'destination.user',
];

/**
 * A warning for each field of `policy` that needs a peer identity; in the order of the policy.
 * @param trustedProxies as in the mesh settings; none when there is any, since these tell who the peer is
 */
export function findPeerIdentityFields(policy: AuthorizationPolicy, trustedProxies: readonly string[]): readonly Finding[] {
  if (trustedProxies.length > 0) return [];
  return (policy.spec.rules ?? []).flatMap((rule, ruleIndex) => {
    const at = `spec.rules[${ruleIndex}]`;
    const sources = (rule.from ?? []).flatMap(({ source }, index) =>
      SOURCE_FIELDS.filter((field) => (source?.[field] ?? []).length > 0).map((field) =>
        warning(`${at}.from[${index}].source.${field}`, field),
      ),
    );
    const conditions = (rule.when ?? []).flatMap(({ key }, index) =>
      CONDITION_KEYS.includes(key) ? [warning(`${at}.when[${index}].key`, key)] : [],
    );
    return [...sources, ...conditions];
  });
}

function warning(path: string, field: string): Finding {
  return {
    code: 'SP_NEEDS_PEER_IDENTITY',
    severity: 'warning',
    path,
    message: `${field} needs the identity of the peer, which nothing tells the agents: no request has one`,
    hint: 'set mesh.trustedProxies to the proxies in front that terminate mTLS, or use requestPrincipals or a network policy instead',
  };
}
