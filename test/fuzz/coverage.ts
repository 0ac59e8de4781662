/*
 * V8's block coverage of the sources. Newly covered characters guide the fuzzer; the number of blocks run measures work without a
 * clock. One instance per process or worker, because V8 counts for the whole of it.
 */
import { type Profiler, Session } from 'node:inspector';
import { pathToFileURL } from 'node:url';

/** Newly covered characters by script. */
export type Fresh = ReadonlyMap<string, ReadonlySet<number>>;

const SOURCES = pathToFileURL(new URL('../../src/', import.meta.url).pathname).href;

export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Map<string, Uint8Array>();

  /** Starts counting. */
  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  stop(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /** Records what ran since the last call and returns what is newly covered. */
  take(): Fresh {
    const fresh = new Map<string, Set<number>>();
    for (const { url, functions } of this.#scripts()) {
      const ran = characters(functions);
      const seen = this.#seenIn(url, ran.length);
      const added = new Set<number>();
      for (const [at, count] of ran.entries()) {
        if (count === 0 || seen[at] === 1) continue;
        seen[at] = 1;
        added.add(at);
      }
      if (added.size > 0) fresh.set(url, added);
    }
    return fresh;
  }

  /** Did the code that ran since the last call cover any of `wanted`? Covered characters are removed from `wanted`. */
  takeAnyOf(wanted: Map<string, Set<number>>): boolean {
    let found = false;
    for (const { url, functions } of this.#scripts()) {
      const left = wanted.get(url);
      if (left === undefined) continue;
      for (const [at, count] of characters(functions).entries()) if (count > 0 && left.delete(at)) found = true;
      if (left.size === 0) wanted.delete(url);
    }
    return found;
  }

  /** Number of blocks of the sources entered since the last call; every iteration of a loop counts. */
  takeWork(): number {
    let work = 0;
    for (const { functions } of this.#scripts()) for (const { ranges } of functions) for (const { count } of ranges) work += count;
    return work;
  }

  /** Number of characters covered so far. */
  get size(): number {
    let size = 0;
    for (const seen of this.#seen.values()) size += seen.reduce((sum, one) => sum + one, 0);
    return size;
  }

  #scripts(): readonly Profiler.ScriptCoverage[] {
    let scripts: readonly Profiler.ScriptCoverage[] = [];
    this.#session.post('Profiler.takePreciseCoverage', (error, result) => {
      if (error !== null) throw error;
      scripts = result.result.filter(({ url }) => url.startsWith(SOURCES));
    });
    return scripts;
  }

  #seenIn(url: string, length: number): Uint8Array {
    const known = this.#seen.get(url);
    if (known !== undefined && known.length >= length) return known;
    const larger = new Uint8Array(length);
    if (known !== undefined) larger.set(known);
    this.#seen.set(url, larger);
    return larger;
  }
}

/** 1 for each character that ran; inner ranges override the outer ones. */
function characters(functions: readonly Profiler.FunctionCoverage[]): Uint8Array {
  const end = functions.reduce((most, { ranges }) => Math.max(most, ranges[0]?.endOffset ?? 0), 0);
  const ran = new Uint8Array(end);
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges) ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return ran;
}
