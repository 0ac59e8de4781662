/*
 * Query strings as Envoy's jwt_authn reads and rewrites them when it removes a token.
 */

const PERCENT_HEX = /%([0-9A-Fa-f]{2})/g;
// Bytes that would break the request line or end the query.
// oxlint-disable-next-line no-control-regex -- these are the characters to find
const UNSAFE = /[\u0000-\u0020#\u007f-\u00ff]/g;

/** `encoded` with each valid `%HH` replaced by its byte (one latin1 character); `+` is kept. */
export function percentDecode(encoded: string): string {
  return encoded.includes('%')
    ? encoded.replace(PERCENT_HEX, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : encoded;
}

function* parameters(target: string): Generator<readonly [name: string, value: string]> {
  let from = target.indexOf('?') + 1;
  if (from === 0) {
    return;
  }
  while (from < target.length) {
    const ampersand = target.indexOf('&', from);
    const end = ampersand === -1 ? target.length : ampersand;
    const piece = target.slice(from, end);
    const equals = piece.indexOf('=');
    yield equals === -1 ? [percentDecode(piece), ''] : [percentDecode(piece.slice(0, equals)), percentDecode(piece.slice(equals + 1))];
    from = end + 1;
  }
}

/**
 * The first value of parameter `name` in `target`, decoded; `''` when the parameter has no value; `undefined` when absent.
 * @param name compared with the decoded name; case-sensitive
 */
export function queryParameter(target: string, name: string): string | undefined {
  for (const [key, value] of parameters(target)) {
    if (key === name) {
      return value;
    }
  }
  return undefined;
}

/**
 * `target` without the parameter `name`. The query is rebuilt: decoded, sorted by name (equal names keep their order), written
 * as `name=value`, and dropped with its `?` when nothing remains. The result may contain any byte, see {@link encodeQuery}.
 * @example withoutQueryParameter('/p?access_token=T&b=2&a=%20x', 'access_token') // '/p?a= x&b=2'
 */
export function withoutQueryParameter(target: string, name: string): string {
  const kept = [...parameters(target)].filter(([key]) => key !== name);
  const path = target.slice(0, target.indexOf('?') === -1 ? target.length : target.indexOf('?'));
  if (kept.length === 0) {
    return path;
  }
  // Byte order: both are latin1.
  kept.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `${path}?${kept.map(([key, value]) => `${key}=${value}`).join('&')}`;
}

/**
 * `target` with every byte of its query that is not allowed in a request line as `%HH`.
 * @example encodeQuery('/p?a= x') // '/p?a=%20x'
 */
export function encodeQuery(target: string): string {
  const query = target.indexOf('?') + 1;
  if (query === 0) return target;
  const encode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  return target.slice(0, query) + target.slice(query).replace(UNSAFE, encode);
}
