/*
 * What a run found: survivors, and the rate of each package.
 */
import { type Classified, KINDS, type Kind, UNCOUNTED } from './classification.ts';
import type { Result } from './results.ts';

const MIN_RATE = 0.9;

/** What `npm run mutation` prints last. */
export interface Report {
  readonly text: string;
  /** Each package has the rate, and each survivor is classified. */
  readonly ok: boolean;
}

/** The report on `results`. */
export function reportOn(results: readonly Result[], classification: ReadonlyMap<string, Classified>): Report {
  const survivors = results.filter(({ outcome }) => outcome === 'survived');
  const packages = [...Map.groupBy(results, packageOf)].sort(([one], [other]) => (one < other ? -1 : 1));
  const rows = packages.map(([name, tried]) => rowOf(name, tried, classification));
  const unclassified = survivors.filter(({ mutant }) => !classification.has(mutant.id));
  const wrong = results.filter(({ mutant, outcome }) => outcome === 'killed' && classification.has(mutant.id));
  const text = [
    ...survivors.map(({ mutant }) => `${describe(mutant)}\n    ${wordsOf(classification.get(mutant.id))}`),
    ...wrong.map(({ mutant, failure }) => `${describe(mutant)}\n    classified, but noticed by: ${failure}`),
    ['package', 'drawn', 'killed', ...KINDS, 'unclassified', 'rate'].map(cell).join(''),
    ...rows.map(({ cells }) => cells.map(cell).join('')),
    `${unclassified.length} survivors are not classified.`,
  ];
  return { text: text.join('\n'), ok: unclassified.length === 0 && rows.every(({ rate }) => rate >= MIN_RATE) };
}

/** One line about a mutant, and what it puts in. */
export function describe({ id, path, line, operator, replacement }: Result['mutant']): string {
  const [first = '', ...more] = replacement.split('\n');
  return `${id} ${path}:${line} ${operator}: ${first}${more.length > 0 ? ' ...' : ''}`;
}

function rowOf(
  name: string,
  tried: readonly Result[],
  classification: ReadonlyMap<string, Classified>,
): { readonly cells: readonly string[]; readonly rate: number } {
  const survivors = tried.filter(({ outcome }) => outcome === 'survived');
  const counts = new Map<Kind | undefined, number>();
  for (const { mutant } of survivors) {
    const kind = classification.get(mutant.id)?.kind;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const countOf = (kind?: Kind): number => counts.get(kind) ?? 0;
  const killed = tried.length - survivors.length;
  const counted = tried.length - UNCOUNTED.reduce((sum, kind) => sum + countOf(kind), 0);
  const rate = killed / Math.max(1, counted);
  const cells = [tried.length, killed, ...KINDS.map(countOf), countOf()].map(String);
  return { cells: [name, ...cells, `${(100 * rate).toFixed(1)} %`], rate };
}

function packageOf({ mutant }: Result): string {
  return mutant.path.split('/')[1] ?? '';
}

function wordsOf(classified: Classified | undefined): string {
  return classified === undefined ? 'not classified' : `${classified.kind}: ${classified.reason}`;
}

function cell(text: string, index: number): string {
  return index === 0 ? text.padEnd(10) : text.padStart(14);
}
