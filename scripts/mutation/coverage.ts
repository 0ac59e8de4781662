/*
 * Which parts of the sources a run of tests executed, from the coverage that V8 writes.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Executed parts of each file, from start to end. Paths are relative to the project. */
export type Coverage = Readonly<Record<string, readonly (readonly [start: number, end: number])[]>>;

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

/** The coverage in `directory`, to which all processes of the run have written. @param root the project; only its `src` counts */
export function readCoverage(directory: string, root: string): Coverage {
  const sources = `${pathToFileURL(join(root, 'src')).href}/`;
  const executed = new Map<string, Uint8Array>();
  for (const file of globSync('*.json', { cwd: directory })) {
    const { result } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as { readonly result: readonly Script[] };
    for (const script of result.filter(({ url }) => url.startsWith(sources))) {
      const path = `src/${script.url.slice(sources.length)}`;
      executed.set(path, union(executed.get(path), executedBy(script)));
    }
  }
  return Object.fromEntries([...executed].map(([path, marks]) => [path, rangesOf(marks)]));
}

/** Was the place executed? */
export function isCovered(coverage: Coverage, path: string, offset: number): boolean {
  return (coverage[path] ?? []).some(([start, end]) => start <= offset && offset < end);
}

/** 1 for each executed character. An inner range counts for more than those around it. */
function executedBy({ functions }: Script): Uint8Array {
  const ranges = functions.flatMap((one) => one.ranges);
  const outerFirst = ranges.toSorted((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  const marks = new Uint8Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)));
  for (const { startOffset, endOffset, count } of outerFirst) marks.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return marks;
}

function union(one: Uint8Array | undefined, other: Uint8Array): Uint8Array {
  return one === undefined ? other : other.map((mark, at) => mark | (one[at] ?? 0));
}

function rangesOf(marks: Uint8Array): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (let start = marks.indexOf(1); start !== -1; ) {
    const next = marks.indexOf(0, start);
    const end = next === -1 ? marks.length : next;
    ranges.push([start, end]);
    start = marks.indexOf(1, end);
  }
  return ranges;
}
