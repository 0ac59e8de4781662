/*
 * What each test file does without any mutant: how long it takes and what it covers. Kept between runs, since it costs a run of the file.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Coverage } from './coverage.ts';

/** A test file without any mutant. */
export interface Measured {
  readonly file: string;
  /** Digest of the file and of all that it imports. */
  readonly digest: string;
  /** Why it fails; absent: it passes. */
  readonly failure?: string;
  readonly ms: number;
  readonly coverage: Coverage;
}

/** The measured test files of a run, shared by its copies of the project. */
export class Baseline {
  readonly #path: string;
  readonly #known = new Map<string, Promise<Measured>>();

  /** @param path file that keeps them, one line of JSON each */
  constructor(path: string) {
    this.#path = path;
    if (!existsSync(path)) return;
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    for (const line of lines.filter((text) => text.endsWith('}'))) {
      const measured = JSON.parse(line) as Measured;
      this.#known.set(keyOf(measured), Promise.resolve(measured));
    }
  }

  /** The test file in its present form; it is measured by `measure` if it is not known. A failure is not kept. */
  get(test: Pick<Measured, 'file' | 'digest'>, measure: () => Promise<Measured>): Promise<Measured> {
    const known = this.#known.get(keyOf(test));
    if (known !== undefined) return known;
    const measured = measure().then((result) => {
      if (result.failure === undefined) this.#keep(result);
      return result;
    });
    this.#known.set(keyOf(test), measured);
    return measured;
  }

  #keep(measured: Measured): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    appendFileSync(this.#path, `${JSON.stringify(measured)}\n`);
  }
}

function keyOf({ file, digest }: Pick<Measured, 'file' | 'digest'>): string {
  return `${file} ${digest}`;
}
