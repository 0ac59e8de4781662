/*
 * Ids for requests that have none: random UUIDs, many made at a time. `randomUUID` of Node.js leaves 400 bytes of garbage for each.
 */
import { randomFillSync } from 'node:crypto';

const IDS = 128;
const ID_BYTES = 16;
const ID_LENGTH = 36;
const DASH = 45;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** Number of bytes before each dash. */
const DASHES_AT: ReadonlySet<number> = new Set([4, 6, 8, 10]);

const random = Buffer.allocUnsafeSlow(IDS * ID_BYTES);
const text = Buffer.allocUnsafeSlow(IDS * ID_LENGTH);
let made = '';
let used = IDS;

/** A random UUID (RFC 9562, version 4). */
export function newRequestId(): string {
  if (used === IDS) {
    makeIds();
    used = 0;
  }
  const start = used * ID_LENGTH;
  used += 1;
  return made.slice(start, start + ID_LENGTH);
}

function makeIds(): void {
  randomFillSync(random);
  let at = 0;
  for (let index = 0; index < random.length; index += 1) {
    const position = index % ID_BYTES;
    if (DASHES_AT.has(position)) text[at++] = DASH;
    const byte = withVersion(random[index] as number, position);
    text[at++] = DIGITS[byte >> 4] as number;
    text[at++] = DIGITS[byte & 15] as number;
  }
  made = text.toString('latin1');
}

/** Sets the bits of version and variant. */
function withVersion(byte: number, position: number): number {
  if (position === 6) return (byte & 0x0f) | 0x40;
  return position === 8 ? (byte & 0x3f) | 0x80 : byte;
}
