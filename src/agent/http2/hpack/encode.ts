/*
 * Encodes header fields (RFC 7541) without state: entries of the static table by index, everything else as it stands. No dynamic table has to
 * be kept equal with the peer's, whatever size it allows, and nothing that one client sends changes how another's fields are encoded.
 */
import type { ByteWriter } from './byte-writer.ts';
import { STATIC_ENTRIES, STATIC_TABLE } from './static-table.ts';

const INDEXED = 0x80;
const PLAIN = 0x00;
const NEVER_INDEXED = 0x10;

/** The first entry with this name. */
const NAMES: ReadonlyMap<string, number> = new Map(firstIndexes());
/** Names of which the table has values. */
const WITH_VALUES: ReadonlySet<string> = new Set([':method', ':path', ':scheme', ':status', 'accept-encoding']);
/** A proxy behind the receiver must not put them into a table either (RFC 7541 section 7.1.3). */
const SECRETS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie']);

/** Descending: the first of several entries with one name comes last. */
function firstIndexes(): readonly (readonly [name: string, index: number])[] {
  return Array.from(
    { length: STATIC_ENTRIES },
    (_, at) => [STATIC_TABLE[(STATIC_ENTRIES - at - 1) * 2] ?? '', STATIC_ENTRIES - at] as const,
  );
}

/** Writes one field. @param name in lower case */
export function encodeField(out: ByteWriter, name: string, value: string): void {
  const index = NAMES.get(name);
  if (index === undefined) {
    out.byte(PLAIN);
    writeString(out, name);
  } else {
    const whole = WITH_VALUES.has(name) ? indexOfField(index, name, value) : 0;
    if (whole !== 0) {
      out.byte(INDEXED | whole);
      return;
    }
    writeInteger(out, SECRETS.has(name) ? NEVER_INDEXED : PLAIN, 0x0f, index);
  }
  writeString(out, value);
}

/** @returns 0: the table has no such field */
function indexOfField(first: number, name: string, value: string): number {
  for (let index = first; STATIC_TABLE[index * 2 - 2] === name; index += 1) if (STATIC_TABLE[index * 2 - 1] === value) return index;
  return 0;
}

function writeString(out: ByteWriter, text: string): void {
  writeInteger(out, 0, 0x7f, text.length);
  out.latin1(text);
}

/** An integer whose first byte has the bits of `mask` for it (RFC 7541 section 5.1). */
function writeInteger(out: ByteWriter, pattern: number, mask: number, value: number): void {
  if (value < mask) {
    out.byte(pattern | value);
    return;
  }
  out.byte(pattern | mask);
  let rest = value - mask;
  while (rest >= 0x80) {
    out.byte((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.byte(rest);
}
