/*
 * Changes that an external authorizer asks for on header lists: which names are within its reach, and how a change is
 * applied. In: a flat list and changes. Out: a new list. Used on the replies of the judge and on the responses of the
 * application.
 */
import { type HeaderList, hasHeader, selectHeaders } from './header-list.ts';

/** One change of a response's headers. `add` keeps what is there; the others look at whether the name is there. */
export interface HeaderChange {
  readonly how: 'add' | 'set' | 'add-if-absent' | 'set-if-present';
  /** Lower case. */
  readonly name: string;
  /** latin1 text, one character per octet. */
  readonly value: string;
}

/** Fields that belong to the connection or to the codec: framing must not be decided by a third party. */
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
/** Fields of a response that the codec writes itself. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['date', 'server']);

/** May an authorizer set or remove the request header `name` (lower case)? Not Host, pseudo headers and framing. */
export function isChangeableRequestHeader(name: string): boolean {
  return name !== '' && !name.startsWith(':') && !CODEC_FIELDS.has(name);
}

/** May an authorizer set the response header `name` (lower case)? */
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
