/*
 * Path templates segment by segment, for paths that fit so many templates halfway that walking along all of them takes too long. In:
 * rows. Out: one axis for each depth, which leaves the rows whose templates fit there. Used by the row filter.
 */
import type { Lookup } from './axis.ts';
import { type FilterAxis, freeBut } from './filter-axes.ts';
import { addHit, addId, createPosting, type IdsByKey, type Posting } from './posting.ts';
import type { RowSets } from './row-sets.ts';
import { type Row, TEMPLATES_KEY } from './rows.ts';
import { cutTemplate } from './template-trie.ts';
import type { Term } from './term.ts';

/** Deeper segments are left to the rules' own tests. */
const MAX_DEPTH = 24;

/** Any segment, and the end of the path: no segment is written like these. */
const ANY = '{*}';
const END = '/';

type CutTemplate = ReturnType<typeof cutTemplate>;

/** What a row's templates want of one segment; `undefined`: nothing. */
function wantedAt(templates: readonly CutTemplate[], depth: number): readonly string[] | undefined {
  const wanted: string[] = [];
  for (const { segments, rest } of templates) {
    if (depth < segments.length) wanted.push(segments[depth] as string);
    else if (depth === segments.length && rest === undefined) wanted.push(END);
    else return undefined;
  }
  return wanted;
}

/** What a term says of segments, from the first one on; `undefined`: nothing. */
function cutTerm({ kind, text }: Term): CutTemplate | undefined {
  if (kind === 'template') return cutTemplate(text);
  if (!text.startsWith('/')) return undefined;
  const segments = text.split('/').slice(1);
  if (kind === 'exact') return { segments, rest: undefined };
  // The last segment of a prefix may go on.
  return kind === 'prefix' ? { segments: segments.slice(0, -1), rest: '' } : undefined;
}

/** The templates of a row, and what else its list takes; `undefined`: it asks for none, or takes what segments do not tell. */
function templatesOf({ anyOf }: Row): readonly CutTemplate[] | undefined {
  const cut = anyOf.get(TEMPLATES_KEY)?.terms.map(cutTerm);
  return cut?.every((one) => one !== undefined) === true ? cut : undefined;
}

/** The axes of all depths at which templates differ; none when no rows ask for templates. */
export function segmentAxes(rows: readonly Row[], sets: RowSets): readonly FilterAxis[] {
  const templates = rows.map(templatesOf);
  const segments = new PathSegments();
  const axes: FilterAxis[] = [];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const ids: IdsByKey<string> = new Map();
    const asking: number[] = [];
    let isDisjoint = true;
    for (const [id, own] of templates.entries()) {
      const wanted = own === undefined ? undefined : wantedAt(own, depth);
      if (wanted === undefined) continue;
      for (const segment of wanted) addId(ids, segment, id);
      asking.push(id);
      if (wanted.length !== 1) isDisjoint = false;
    }
    if (ids.size === 0) continue;
    const lookups = [createLookup(ids, sets, segments, depth)];
    axes.push({ lookups, isToken: false, givesUp: false, ...freeBut(asking, sets), isDisjoint });
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
    // What is beyond the end was told at the end.
    if (depth > all.length) hits.isPartial = true;
    else if (segment === undefined) addHit(hits, end);
    else {
      addHit(hits, postings.get(segment));
      if (segment !== '') addHit(hits, any);
    }
  };
}

/** Cuts the path of a request once for all axes. */
class PathSegments {
  #path = '';
  #segments: readonly string[] = [];

  of(path: string): readonly string[] {
    if (path !== this.#path) {
      this.#path = path;
      // Only a path with a slash at its beginning fits templates, and so many of them.
      this.#segments = path.slice(1).split('/', MAX_DEPTH + 1);
    }
    return this.#segments;
  }
}
