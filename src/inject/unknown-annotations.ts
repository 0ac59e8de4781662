/*
 * Finds annotations of ours that do not exist. Kubernetes accepts any name, so a misspelt one would have no effect unnoticed.
 */
import * as names from '../api/kube/names.ts';
import { OWN_ANNOTATION_PREFIX } from '../api/kube/slim.ts';
import type { Finding } from '../errors.ts';
import type { Raw } from './raw-json.ts';

const KNOWN: readonly string[] = Object.entries(names).flatMap(([constant, name]) =>
  constant.endsWith('_ANNOTATION') && typeof name === 'string' && name.startsWith(OWN_ANNOTATION_PREFIX) ? [name] : [],
);
/** With more edits, two names are different words. */
const MAX_EDITS = 4;

/** A warning for each unknown annotation below `sallyport.dev/`. */
export function findUnknownAnnotations(annotations: Raw): readonly Finding[] {
  return Object.keys(annotations)
    .filter((name) => name.startsWith(OWN_ANNOTATION_PREFIX) && !KNOWN.includes(name))
    .map((name) => ({
      code: 'SP_ANNOTATION',
      severity: 'warning',
      path: `metadata.annotations[${name}]`,
      message: `there is no annotation "${name}", so it has no effect`,
      ...hintFor(name),
    }));
}

function hintFor(name: string): { readonly hint?: string } {
  if (name === names.INJECTION_LABEL) return { hint: `"${name}" is a label` };
  const [nearest] = KNOWN.map((known) => ({ known, edits: editsBetween(name, known) })).sort((one, other) => one.edits - other.edits);
  return nearest === undefined || nearest.edits > MAX_EDITS ? {} : { hint: `did you mean "${nearest.known}"?` };
}

/** Levenshtein distance. A name of Kubernetes has at most 63 characters after its prefix; longer input is cut. */
function editsBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let at = 0; at < Math.min(one.length, 100); at += 1) {
    const next = [at + 1];
    for (let to = 0; to < other.length; to += 1) {
      const replaced = (row[to] ?? 0) + (one[at] === other[to] ? 0 : 1);
      next.push(Math.min(replaced, (row[to + 1] ?? 0) + 1, (next[to] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
