/*
 * Estimates how much memory of the V8 heap a verified token takes. The estimate is at least the true size: the unit test measures it.
 */
import type { HeaderList } from '../http/header-list.ts';
import type { Json } from '../policy/facts.ts';
import { isJsonObject } from './parse-json.ts';

/** A string's header, or a slice of another string. */
const STRING_BYTES = 40;
const NUMBER_BYTES = 16;
const ARRAY_BYTES = 64;
/** V8 grows an array by half, and by at least this many elements. */
const ARRAY_SPARE = 17;
const OBJECT_BYTES = 112;
/** An object without prototype is a hash table that is at most half full, of three words a member. */
const MEMBER_BYTES = 96;
const WORD_BYTES = 8;

/** The description of a verified token without its strings and claims. */
const DESCRIPTION_BYTES = 320;

/** Memory of a string that is not a slice of another. */
export function stringBytes(text: string): number {
  return STRING_BYTES + text.length;
}

/**
 * Memory that a verified token takes besides the text of the token.
 * @param jsonBytes memory of the text that the claims were read from
 */
export function verifiedBytes(claims: Json, jsonBytes: number, principal: string, outputHeaders: HeaderList): number {
  let bytes = DESCRIPTION_BYTES + jsonBytes + claimsBytes(claims) + 2 * stringBytes(principal);
  for (const part of outputHeaders) bytes += stringBytes(part) + WORD_BYTES;
  return bytes;
}

/** Memory of the objects that claims consist of; their characters are counted with the text that they were read from. */
function claimsBytes(value: Json): number {
  if (typeof value === 'string') return STRING_BYTES;
  if (typeof value === 'number') return NUMBER_BYTES;
  if (typeof value !== 'object' || value === null) return 0;
  if (!isJsonObject(value)) {
    let bytes = ARRAY_BYTES + (value as readonly Json[]).length * WORD_BYTES * 1.5 + ARRAY_SPARE * WORD_BYTES;
    for (const item of value as readonly Json[]) bytes += claimsBytes(item);
    return Math.ceil(bytes);
  }
  let bytes = OBJECT_BYTES;
  for (const name in value) bytes += MEMBER_BYTES + stringBytes(name) + claimsBytes(value[name] as Json);
  return bytes;
}
