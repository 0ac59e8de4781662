/*
 * A parsed YAML document in, the plain value that its JSON form would have out, or a refusal: aliases that unfold without end
 * or that hold themselves have no JSON form. Called by the directory source, the CLI and injection.
 */
import type { Document } from 'yaml';
import { RefusedError } from '../../errors.ts';

/** Deepest alias expansion that the YAML library may do: enough for any manifest of a person's. */
const MAX_ALIASES = 100;

/**
 * The value of a document without errors. Equal parts that an alias names are one object.
 *
 * @throws RefusedError SP_MANIFEST
 */
export function plainValue(document: Document): unknown {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new RefusedError('SP_MANIFEST', error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (holdsItself(value, new Set(), new Set())) throw new RefusedError('SP_MANIFEST', 'an alias stands inside of what it names');
  return value;
}

/** @param open what is being looked at, from the outermost in; @param done what holds no cycle: shared parts are looked at once */
function holdsItself(value: unknown, open: Set<object>, done: Set<object>): boolean {
  if (typeof value !== 'object' || value === null || done.has(value)) return false;
  if (open.has(value)) return true;
  open.add(value);
  for (const member of Object.values(value)) if (holdsItself(member, open, done)) return true;
  open.delete(value);
  done.add(value);
  return false;
}
