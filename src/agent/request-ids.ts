/*
 * Ids for requests that have none: random UUIDs, many made at a time. `randomUUID` of Node.js leaves 400 bytes of garbage for each.
 */
import { randomFillSync } from 'node:crypto';

const IDS = 128;
const ID_BYTES = 16;
const ID_LENGTH = 36;
const DASH = 45;
/** Bits of the seventh and of the ninth byte. */
const VERSION = 0x40;
const VARIANT = 0x80;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** Where the two digits of each byte begin. */
const DIGITS_AT = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34);

const random = Buffer.allocUnsafeSlow(IDS * ID_BYTES);
/** The dashes stay. */
const text = Buffer.allocUnsafeSlow(IDS * ID_LENGTH).fill(DASH);
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
  for (let id = 0; id < IDS; id += 1) {
    const first = id * ID_BYTES;
    random[first + 6] = ((random[first + 6] as number) & 0x0f) | VERSION;
    random[first + 8] = ((random[first + 8] as number) & 0x3f) | VARIANT;
    for (let byte = 0; byte < ID_BYTES; byte += 1) {
      const value = random[first + byte] as number;
      const at = id * ID_LENGTH + (DIGITS_AT[byte] as number);
      text[at] = DIGITS[value >> 4] as number;
      text[at + 1] = DIGITS[value & 15] as number;
    }
  }
  made = text.toString('latin1');
}
