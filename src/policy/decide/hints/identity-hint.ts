/*
 * Hints at likely mistakes in `requestPrincipals` and in the identities of peers.
 */

import type { Claims, PeerIdentity } from '../../facts.ts';
import { lookUpClaim } from '../../match/claim.ts';
import { compileIdentityMatch } from '../../match/identity.ts';
import type { IdentityMatch, RequestPrincipalMatch, StringMatch } from '../../model/program.ts';
import { far, formatString, type Hint, near } from './hint.ts';

const SPIFFE = 'spiffe://';

/** A request principal in the form in which policies write it; `*` alone matches any. */
export function formatPrincipal({ iss, sub }: RequestPrincipalMatch): string {
  return iss.kind === 'present' && sub.kind === 'present' ? '*' : `${formatString(iss)}/${formatString(sub)}`;
}

/** Why the token's `iss/sub` is not one of `wanted`; `undefined`: unknown. */
export function requestPrincipalHint(wanted: readonly RequestPrincipalMatch[], claims: Claims): Hint | undefined {
  const iss = lookUpClaim(claims, ['iss']);
  const sub = lookUpClaim(claims, ['sub']);
  const lacking = Object.entries({ iss, sub }).flatMap(([name, value]) => (typeof value === 'string' && value !== '' ? [] : [name]));
  if (typeof iss !== 'string' || typeof sub !== 'string' || lacking.length > 0) {
    return far(`the token has no ${lacking.join(' and no ')}; a request principal requires both iss and sub`);
  }
  for (const match of wanted) {
    const hint = oneHint(match, iss, sub);
    if (hint !== undefined) return hint;
  }
  return wanted.some((match) => isExact(match.iss, iss)) ? far(`the issuer matches, but the subject is ${sub}`) : undefined;
}

function oneHint(match: RequestPrincipalMatch, iss: string, sub: string): Hint | undefined {
  const written = formatPrincipal(match);
  const saw = `${iss}/${sub}`;
  if (sub.includes('/') && saw === written) {
    return near(
      'the subject contains a slash, and a request principal is split at its last one: use request.auth.claims[iss] and [sub] under when',
    );
  }
  const slash = issuerSlash(match, iss);
  if (slash !== undefined) return near(`${slash}: write ${iss}/${formatString(match.sub)}`);
  if (saw.toLowerCase() === written.toLowerCase()) return near(`differs only in case from ${written}`);
  if (isExact(match.sub, '') && match.iss.kind === 'exact' && (match.iss.value === sub || match.iss.value === iss)) {
    return near(`a request principal is an issuer, a slash and a subject: write ${saw}`);
  }
  return undefined;
}

function issuerSlash({ iss: wanted }: RequestPrincipalMatch, iss: string): string | undefined {
  if (wanted.kind !== 'exact') return undefined;
  if (iss === `${wanted.value}/`) return `iss ends in /, the policy says ${wanted.value}`;
  return `${iss}/` === wanted.value ? `iss does not end in /, the policy says ${wanted.value}` : undefined;
}

function isExact(match: StringMatch, value: string): boolean {
  return match.kind === 'exact' && match.value === value;
}

/** Why the peer is not one of `wanted`; `undefined`: unknown. */
export function peerHint(wanted: readonly IdentityMatch[], peer: PeerIdentity | undefined): Hint | undefined {
  if (peer === undefined) return far('the connection has no peer identity (mTLS)');
  for (const match of wanted) {
    for (const uri of peer.uris) {
      const hint = onePeerHint(match, uri);
      if (hint !== undefined) return hint;
    }
  }
  return undefined;
}

function onePeerHint(match: IdentityMatch, uri: string): Hint | undefined {
  if (match.kind !== 'exact' && match.kind !== 'prefix') return undefined;
  const matches = (value: string): boolean => compileIdentityMatch({ kind: match.kind, value })(uri);
  const written = formatIdentity(match);
  if (match.value.startsWith(`${SPIFFE}${SPIFFE}`) && matches(match.value.slice(SPIFFE.length))) {
    return near(`an identity is written without spiffe://: write ${written.slice(SPIFFE.length)}`);
  }
  if (compileIdentityMatch({ kind: match.kind, value: match.value.toLowerCase() })(uri.toLowerCase()))
    return near(`differs only in case from ${written}`);
  const domain = /^spiffe:\/\/([^/]*)/.exec(uri)?.[1] ?? '';
  const other = /^spiffe:\/\/([^/]*)/.exec(match.value)?.[1];
  const isOther = other !== undefined && other !== domain && matches(match.value.replace(`${SPIFFE}${other}`, `${SPIFFE}${domain}`));
  return isOther ? near(`differs only in the trust domain: the peer has ${domain}, the policy says ${other}`) : undefined;
}

/** An identity in the form in which policies write it: without the scheme, which Istio adds. */
export function formatIdentity(match: IdentityMatch): string {
  switch (match.kind) {
    case 'spiffeSuffix':
      return `*${match.value}`;
    case 'namespace':
      return `namespace ${match.pattern}`;
    case 'serviceAccount':
      return `service account ${match.namespace}/${match.name}`;
    case 'trustDomain':
      return `trust domain ${match.prefix}*${match.suffix}`;
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'present':
      return formatString(match).replace(SPIFFE, '');
  }
}
