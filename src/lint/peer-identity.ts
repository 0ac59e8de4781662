/*
 * Finds fields of a policy that depend on the peer identity. Plain text has no peer identity, so these fields match no request unless
 * agents terminate mutual TLS, or trusted proxies forward the identity. Also part of the status of policies.
 */
import type { AuthorizationPolicy, Source } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';

/** Settings that say how agents identify peers. */
export type PeerSettings = Pick<MeshConfig, 'trustedProxies' | 'peerIdentity'>;

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
 * A warning for each field of `policy` that depends on the peer identity, in the order of the policy.
 * @param settings of the mesh; if trusted proxies or the addresses of pods identify peers, there are no warnings
 */
export function findPeerIdentityFields(policy: AuthorizationPolicy, { trustedProxies, peerIdentity }: PeerSettings): readonly Finding[] {
  if (trustedProxies.length > 0 || peerIdentity.podIP) return [];
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
    message: `${field} depends on the peer identity, which a request has only over mutual TLS that the agent terminates`,
    hint: 'let the agents terminate TLS (sallyport.dev/tls), set mesh.trustedProxies to the proxies that terminate it in front of them, set mesh.peerIdentity.podIP, or use requestPrincipals or a NetworkPolicy instead',
  };
}
