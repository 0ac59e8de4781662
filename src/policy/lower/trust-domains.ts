/*
 * Trust-domain aliases: a policy that names one of the mesh's trust domains means all of them. In: a value of `principals`
 * or `trustDomains`, and the mesh's list. Out: the values it stands for. Used by the attribute makers.
 * @see istio pilot/pkg/security/trustdomain/bundle.go
 */

const DEFAULT_TRUST_DOMAIN = 'cluster.local';
/** `<trust domain>/ns/<namespace>/sa/<service account>`. */
const PRINCIPAL_PARTS = 5;

/** Does `pattern`, when it ends (or begins) with a star, cover `text`? */
function coversAsPrefix(pattern: string, text: string): boolean {
  return pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1));
}

function coversAsSuffix(pattern: string, text: string): boolean {
  return pattern.startsWith('*') && text.endsWith(pattern.slice(1));
}

/** Either side may hold the star. */
function meansOneOf(trustDomain: string, trustDomains: readonly string[]): boolean {
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
 * The principals that a value stands for: one per trust domain of the mesh when its own names one of them, else itself.
 * Values of another shape than `td/ns/x/sa/y`, or with `*` for the trust domain, stand for themselves.
 * @param trustDomains the mesh's trust domain, then its aliases
 */
export function expandPrincipal(value: string, trustDomains: readonly string[]): readonly string[] {
  const parts = value.split('/');
  const trustDomain = parts[0] as string;
  if (parts.length !== PRINCIPAL_PARTS || trustDomain === '*') return [value];
  if (trustDomain !== DEFAULT_TRUST_DOMAIN && !meansOneOf(trustDomain, trustDomains)) return [value];
  const rest = value.slice(trustDomain.length);
  return [...new Set(trustDomains.map((own) => (coversAsSuffix(trustDomain, own) ? value : own + rest)))];
}

/** The trust domains that a value stands for: all of the mesh when it is one of them, else itself. */
export function expandTrustDomain(value: string, trustDomains: readonly string[]): readonly string[] {
  return trustDomains.includes(value) ? [...new Set(trustDomains)] : [value];
}
