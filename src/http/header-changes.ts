/*
 * Header changes that an ext_authz server requests: which names it may change, and how a change is applied to the headers of a
 * response.
 */
import { type HeaderList, hasHeader, selectHeaders } from './header-list.ts';

/** One change of a response's headers. `add` keeps present headers of the name; `set` replaces them. */
export interface HeaderChange {
  readonly how: 'add' | 'set' | 'add-if-absent' | 'set-if-present';
  /** Lower case. */
  readonly name: string;
  /** One latin1 character per byte. */
  readonly value: string;
}

/** Headers of the connection or of the codec: a third party must not control framing. */
const CODEC_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Response headers that the codec writes itself. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['date', 'server']);

/** May an ext_authz server set or remove the request header `name` (lower case)? Not Host, pseudo headers and framing. */
export function isChangeableRequestHeader(name: string): boolean {
  return name !== '' && !name.startsWith(':') && !CODEC_FIELDS.has(name);
}

/** May an ext_authz server set the response header `name` (lower case)? */
export function isChangeableResponseHeader(name: string): boolean {
  return isChangeableRequestHeader(name) && !OWN_FIELDS.has(name);
}

/** `headers` (lower-case names) after `changes` in order; changes of names that may not be changed are skipped. */
export function changeHeaders(headers: HeaderList, changes: readonly HeaderChange[]): HeaderList {
  return changes.reduce(changeHeader, headers);
}

function changeHeader(headers: HeaderList, { how, name, value }: HeaderChange): HeaderList {
  if (!isChangeableResponseHeader(name)) return headers;
  if (how === 'add') return [...headers, name, value];
  const present = hasHeader(headers, name);
  if (how === 'add-if-absent') return present ? headers : [...headers, name, value];
  if (how === 'set-if-present' && !present) return headers;
  return [...selectHeaders(headers, (current) => current !== name), name, value];
}
