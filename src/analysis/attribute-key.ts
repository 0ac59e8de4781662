/*
 * Names of the attributes of a request. Constraints with equal keys are about the same values.
 */

/** Claims of one of the tokens of a request: `claim 0 ["groups"]`. */
export type ClaimKey = `claim ${0 | 1} ${string}`;

/** A header that a client sends: `header x-a`. */
export type SentHeaderKey = `header ${string}`;

/**
 * A header as a filter finds it after the JWT rules: `set 0 x-sub` when they may have set it from a token, `left 0 authorization` when they
 * may have removed it with a token. Numbers distinguish what the two sides find.
 */
export type ChangedHeaderKey = `set ${0 | 1} ${string}` | `left ${0 | 1} ${string}`;

/** An attribute of a request. `path` is the path with its query where a constraint is about both. */
export type AttributeKey =
  | 'path'
  | 'method'
  | 'host'
  | 'scheme'
  | 'sni'
  | 'sourceIp'
  | 'remoteIp'
  | 'destinationIp'
  | 'port'
  | 'peer'
  | SentHeaderKey
  | ChangedHeaderKey
  | ClaimKey;

/** The token whose claims a clause reads; absent: the side sees no claims. */
export type TokenSlot = 0 | 1 | undefined;

const HEADER = 'header ';

/** The key of the claim at `path`. */
export function claimKey(slot: 0 | 1, path: readonly string[]): ClaimKey {
  return `claim ${slot} ${JSON.stringify(path)}`;
}

/** The claim that a key names. */
export function claimOfKey(key: ClaimKey): { readonly slot: 0 | 1; readonly path: readonly string[] } {
  return { slot: key.charAt('claim '.length) === '0' ? 0 : 1, path: JSON.parse(key.slice('claim 0 '.length)) as readonly string[] };
}

/** Is it the key of a claim? */
export function isClaimKey(key: AttributeKey): key is ClaimKey {
  return key.startsWith('claim ');
}

/** The name in the key of a header that a client sends; undefined: another attribute. */
export function sentHeaderOf(key: AttributeKey): string | undefined {
  return key.startsWith(HEADER) ? key.slice(HEADER.length) : undefined;
}

/** The name in the key of a header that JWT rules change; undefined: another attribute. */
export function changedHeaderOf(key: AttributeKey): string | undefined {
  if (key.startsWith('set ')) return key.slice('set 0 '.length);
  return key.startsWith('left ') ? key.slice('left 0 '.length) : undefined;
}

/** The key of a header as the client sends it. Pseudo headers and Host repeat other attributes. @param name in lower case */
export function sentKey(name: string): AttributeKey {
  switch (name) {
    case ':path':
      return 'path';
    case ':method':
      return 'method';
    case ':scheme':
      return 'scheme';
    case ':authority':
    case 'host':
      return 'host';
    default:
      return `header ${name}`;
  }
}
