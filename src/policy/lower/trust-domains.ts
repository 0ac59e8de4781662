/*
 * Trust-domain aliases: a policy that names one of the mesh's trust domains applies to all of them.
 * @see istio pilot/pkg/security/trustdomain/bundle.go
 */

const DEFAULT_TRUST_DOMAIN = 'cluster.local';
/** `<trust domain>/ns/<namespace>/sa/<service account>`. */
const PRINCIPAL_PARTS = 5;

/** Does `pattern` end with `*` and match `value`? */
function coversAsPrefix(pattern: string, value: string): boolean {
  return pattern.endsWith('*') && value.startsWith(pattern.slice(0, -1));
}

/** Does `pattern` start with `*` and match `value`? */
function coversAsSuffix(pattern: string, value: string): boolean {
  return pattern.startsWith('*') && value.endsWith(pattern.slice(1));
}

/** Does `trustDomain` match one of `trustDomains`? Either side may have a `*`. */
function matchesAny(trustDomain: string, trustDomains: readonly string[]): boolean {
  return trustDomains.some(
    (own) =>
      own === trustDomain ||
      own === '*' ||
      coversAsPrefix(own, trustDomain) ||
      coversAsPrefix(trustDomain, own) ||
      coversAsSuffix(own, trustDomain) ||
      coversAsSuffix(trustDomain, own),
  );
}

/**
 * The principals of a value: one per trust domain of the mesh if the value names one of them, else the value itself.
 * A value that is not of the form `td/ns/x/sa/y`, or whose trust domain is `*`, is returned unchanged.
 * @param trustDomains the mesh's trust domain, then its aliases
 */
export function expandPrincipal(value: string, trustDomains: readonly string[]): readonly string[] {
  const parts = value.split('/');
  const trustDomain = parts[0] as string;
  if (parts.length !== PRINCIPAL_PARTS || trustDomain === '*') return [value];
  if (trustDomain !== DEFAULT_TRUST_DOMAIN && !matchesAny(trustDomain, trustDomains)) return [value];
  const rest = value.slice(trustDomain.length);
  return [...new Set(trustDomains.map((own) => (coversAsSuffix(trustDomain, own) ? value : own + rest)))];
}

/** The trust domains of a value: all of the mesh if it is one of them, else the value itself. */
export function expandTrustDomain(value: string, trustDomains: readonly string[]): readonly string[] {
  return trustDomains.includes(value) ? [...new Set(trustDomains)] : [value];
}
