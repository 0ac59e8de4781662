/*
 * Encodes header fields (RFC 7541) without state: entries of the static table by index, everything else as it stands. No dynamic table has to
 * be kept equal with the peer's, whatever size it allows, and nothing that one client sends changes how another's fields are encoded.
 */
import type { ByteWriter } from './byte-writer.ts';
import { STATIC_ENTRIES, STATIC_TABLE } from './static-table.ts';

const INDEXED = 0x80;
const PLAIN = 0x00;
const NEVER_INDEXED = 0x10;

/** A proxy behind the receiver must not put them into a table either (RFC 7541 section 7.1.3). */
const SECRETS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie']);

/** A name of the static table. */
interface StaticName {
  /** The first entry with this name. */
  readonly index: number;
  readonly pattern: typeof PLAIN | typeof NEVER_INDEXED;
  /** Index of the entry with each value; undefined: the entries have no values. */
  readonly values: ReadonlyMap<string, number> | undefined;
}

const ENTRIES = Array.from({ length: STATIC_ENTRIES }, (_, at) => ({
  name: STATIC_TABLE[at * 2] ?? '',
  value: STATIC_TABLE[at * 2 + 1] ?? '',
  index: at + 1,
}));
const NAMES: ReadonlyMap<string, StaticName> = new Map(ENTRIES.map(({ name }) => [name, staticName(name)]));

function staticName(name: string): StaticName {
  const entries = ENTRIES.filter((entry) => entry.name === name);
  const values: ReadonlyMap<string, number> = new Map(entries.map(({ value, index }) => [value, index]));
  return {
    index: entries[0]?.index ?? 0,
    pattern: SECRETS.has(name) ? NEVER_INDEXED : PLAIN,
    values: entries[0]?.value === '' ? undefined : values,
  };
}

/** Writes one field. @param name in lower case */
export function encodeField(out: ByteWriter, name: string, value: string): void {
  const known = NAMES.get(name);
  if (known === undefined) {
    out.byte(PLAIN);
    writeString(out, name);
  } else {
    const whole = known.values?.get(value);
    if (whole !== undefined) {
      out.byte(INDEXED | whole);
      return;
    }
    writeInteger(out, known.pattern, 0x0f, known.index);
  }
  writeString(out, value);
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
