/*
 * Recognizes an object that was intended as a policy, but whose kind, group or version the API server does not know. Without its
 * policy a workload is open, so this object must never be ignored.
 */
import type { Finding } from '../../errors.ts';
import { nearestName } from '../nearest-name.ts';
import { SECURITY_GROUP } from './names.ts';

const KINDS: readonly string[] = ['AuthorizationPolicy', 'RequestAuthentication'];
/** Of Istio, without effect here. */
const OTHER_KINDS: ReadonlySet<string> = new Set(['PeerAuthentication']);
const VERSIONS: ReadonlySet<string> = new Set(['v1', 'v1beta1']);

/** The error about an object that was probably intended as a policy; undefined: it is one, or something else. */
export function misspeltPolicy({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): Finding | undefined {
  const slash = apiVersion.indexOf('/');
  const [group, version] = [apiVersion.slice(0, Math.max(0, slash)), apiVersion.slice(slash + 1)];
  const isOwn = group === SECURITY_GROUP;
  const known = KINDS.includes(kind) ? kind : nearestName(singular(kind), KINDS);
  if (isOwn && !KINDS.includes(kind)) return OTHER_KINDS.has(kind) ? undefined : misspelt('kind', kind, known ?? KINDS.join(' or '));
  if (isOwn) return VERSIONS.has(version) ? undefined : misspelt('apiVersion', apiVersion, `${SECURITY_GROUP}/v1`);
  if (known === undefined || !isNearGroup(group)) return undefined;
  if (known !== kind) return misspelt('kind', kind, `${known} of ${SECURITY_GROUP}/v1`);
  return misspelt('apiVersion', apiVersion, `${SECURITY_GROUP}/v1`);
}

/** `AuthorizationPolicies` is the plural of the name, not of another kind. */
function singular(kind: string): string {
  return kind.replace(/ies$/, 'y').replace(/s$/, '');
}

/** A group of Istio, or one that looks like its security group. Other products have kinds of the same names in groups of their domains. */
function isNearGroup(group: string): boolean {
  return group === '' || /(^|\.)istio\.io$/.test(group) || nearestName(group, [SECURITY_GROUP, 'istio.io']) !== undefined;
}

function misspelt(path: string, written: string, wanted: string): Finding {
  return {
    code: 'SP_MANIFEST',
    severity: 'error',
    path,
    message: `unknown ${path} ${JSON.stringify(written)}: the object is not enforced`,
    hint: `did you mean ${wanted}?`,
  };
}
