/*
 * The form in which agents name keys to the controller: short, of one length, and nothing that a client wrote.
 */
import { createHash } from 'node:crypto';

const HASH_CHARACTERS = 16;

/** 16 hexadecimal digits for a `kid`. */
export function kidHash(kid: string): string {
  return createHash('sha256').update(kid).digest('hex').slice(0, HASH_CHARACTERS);
}
