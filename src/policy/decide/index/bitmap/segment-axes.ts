/*
 * Axes that compare path templates segment by segment, one axis per depth. They are used when a path matches the start of too many
 * templates and the search of the template trie gives up.
 */
import type { Steps } from '../../../../steps.ts';
import type { Lookup } from '../terms/axis-lookup.ts';
import { addHit, addId, createPosting, type IdsByKey, type Posting } from '../terms/posting.ts';
import { cutTemplate } from '../terms/template-trie.ts';
import type { Term } from '../terms/term.ts';
import { type ClauseRow, TEMPLATES_KEY } from './clause-rows.ts';
import { type FilterAxis, freeExcept } from './filter-axes.ts';
import type { RowSets } from './row-sets.ts';

/** Deeper segments are left to the exact tests of the rules. */
const MAX_DEPTH = 24;
const ROWS_PER_STEP = 128;

/** Keys for any segment and for the end of the path; no literal segment can be equal to them. */
const ANY = '{*}';
const END = '/';

type CutTemplate = ReturnType<typeof cutTemplate>;

/** What a row's templates require at one depth; `undefined`: no constraint. */
function requiredAt(templates: readonly CutTemplate[], depth: number): readonly string[] | undefined {
  const required: string[] = [];
  for (const { segments, rest } of templates) {
    if (depth < segments.length) required.push(segments[depth] as string);
    else if (depth === segments.length && rest === undefined) required.push(END);
    else return undefined;
  }
  return required;
}

/** A term as segments from the start of the path; `undefined`: it does not constrain them. */
function cutTerm({ kind, value }: Term): CutTemplate | undefined {
  if (kind === 'template') return cutTemplate(value);
  if (!value.startsWith('/')) return undefined;
  const segments = value.split('/').slice(1);
  if (kind === 'exact') return { segments, rest: undefined };
  // The last segment of a prefix may continue.
  return kind === 'prefix' ? { segments: segments.slice(0, -1), rest: '' } : undefined;
}

/** The templates of a row and the other terms of the same list; `undefined`: none, or one of them does not constrain segments. */
function templatesOf({ anyOf }: ClauseRow): readonly CutTemplate[] | undefined {
  const cut = anyOf.get(TEMPLATES_KEY)?.terms.map(cutTerm);
  return cut?.every((one) => one !== undefined) === true ? cut : undefined;
}

/** The axes of all depths that rows constrain; empty when no row has templates. */
export function* segmentAxes(rows: readonly ClauseRow[], sets: RowSets): Steps<readonly FilterAxis[]> {
  const templates: ReturnType<typeof templatesOf>[] = [];
  for (const row of rows) {
    templates.push(templatesOf(row));
    if (templates.length % ROWS_PER_STEP === 0) yield;
  }
  const segments = new PathSegments();
  const axes: FilterAxis[] = [];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const ids: IdsByKey<string> = new Map();
    const constrained: number[] = [];
    let isDisjoint = true;
    for (const [id, own] of templates.entries()) {
      if (id % ROWS_PER_STEP === 0) yield;
      const required = own === undefined ? undefined : requiredAt(own, depth);
      if (required === undefined) continue;
      for (const segment of required) addId(ids, segment, id);
      constrained.push(id);
      if (required.length !== 1) isDisjoint = false;
    }
    if (ids.size === 0) continue;
    const lookups = [createLookup(ids, sets, segments, depth)];
    axes.push({ lookups, isToken: false, givesUp: false, ...freeExcept(constrained, sets), isDisjoint });
  }
  return axes;
}

function createLookup(ids: IdsByKey<string>, sets: RowSets, segments: PathSegments, depth: number): Lookup {
  const postings = new Map<string, Posting>(Array.from(ids, ([segment, own]) => [segment, createPosting(own, undefined, sets)]));
  const any = postings.get(ANY);
  const end = postings.get(END);
  return ({ path }, _claims, hits) => {
    const all = segments.of(path);
    const segment = all[depth];
    // The axis at the end of the path has already matched against the end; deeper ones do not constrain.
    if (depth > all.length) hits.isPartial = true;
    else if (segment === undefined) addHit(hits, end);
    else {
      addHit(hits, postings.get(segment));
      if (segment !== '') addHit(hits, any);
    }
  };
}

/** Splits the path of a request once for all axes. */
class PathSegments {
  #path = '';
  #segments: readonly string[] = [];

  of(path: string): readonly string[] {
    if (path !== this.#path) {
      this.#path = path;
      // These axes are used only for a path that fits many templates, so it starts with a slash.
      this.#segments = path.slice(1).split('/', MAX_DEPTH + 1);
    }
    return this.#segments;
  }
}
