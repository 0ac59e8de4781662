/*
 * Converts a parsed YAML document to the value of its JSON form. Rejects aliases that expand without bound or contain
 * themselves: they have no JSON form.
 */
import type { Document } from 'yaml';
import { RefusedError } from '../../errors.ts';

/** Maximum number of alias expansions in the YAML library: more than any hand-written manifest needs. */
const MAX_ALIASES = 100;

/**
 * The value of a document without errors. All aliases of an anchor share one object.
 *
 * @throws RefusedError SP_MANIFEST if an alias contains itself, or if aliases expand without bound
 */
export function plainValue(document: Document): unknown {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new RefusedError('SP_MANIFEST', error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (containsItself(value, new Set(), new Set()))
    throw new RefusedError('SP_MANIFEST', 'a YAML alias is part of the value that it refers to');
  return value;
}

/** @param open ancestors of `value`; @param done values without a cycle, so that shared parts are visited once */
function containsItself(value: unknown, open: Set<object>, done: Set<object>): boolean {
  if (typeof value !== 'object' || value === null || done.has(value)) return false;
  if (open.has(value)) return true;
  open.add(value);
  for (const member of Object.values(value)) if (containsItself(member, open, done)) return true;
  open.delete(value);
  done.add(value);
  return false;
}
