/*
 * Reads the index of the pod's namespace: signed, from one of several mounted directories, or as an earlier run kept it. The newest counts.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrustedKeys } from '../../bundle/key-list.ts';
import { type LabelIndex, MAX_INDEX_BYTES, parseLabelIndex } from '../../bundle/label-index.ts';
import { openDocument, SIGNED_FILE_NAMES, type SignedFiles } from '../../bundle/signed-document.ts';
import { INDEX_STATEMENT } from '../../bundle/statement.ts';
import type { TrustAnchor } from '../../bundle/trust-anchor.ts';

/** Where an index is read from, and what it must be signed by. */
export interface LabelIndexOptions {
  /** Each with the files of a signed document; those that do not exist are ignored. */
  readonly directories: readonly string[];
  readonly anchor: TrustAnchor;
  readonly namespace: string;
  /** Keeps the newest index across restarts; undefined: none is kept. */
  readonly stateDir: string | undefined;
}

const STATE_FILE = 'label-index';

/** The newest index that was accepted. */
export class LabelIndexVolume {
  readonly #options: LabelIndexOptions;
  #number = 0;
  #keys: TrustedKeys | undefined;
  #current: LabelIndex | undefined;
  /** The statements that were read last, so that unchanged ones are not verified again. */
  #seen = '';

  constructor(options: LabelIndexOptions) {
    this.#options = options;
  }

  /** Undefined until one is accepted. */
  get current(): LabelIndex | undefined {
    return this.#current;
  }

  /** Takes what an earlier run kept. @param report called with why it is not accepted */
  async restore(report: (error: unknown) => void): Promise<void> {
    const { stateDir } = this.#options;
    const text = stateDir === undefined ? undefined : await readFile(join(stateDir, STATE_FILE), 'utf8').catch(() => undefined);
    if (text === undefined) return;
    try {
      const { part, ...files } = JSON.parse(text) as Readonly<Record<keyof SignedFiles, string>>;
      this.#accept({ ...files, part: Buffer.from(part, 'base64') });
    } catch (error) {
      report(error);
    }
  }

  /** Reads all directories. @param report called with why an index is not accepted @returns whether another index is current now */
  async read(report: (error: unknown) => void): Promise<boolean> {
    const copies = await Promise.all(this.#options.directories.map(readFiles));
    const seen = copies.map((files) => files?.['statement.jws'] ?? '').join();
    if (seen === this.#seen) return false;
    this.#seen = seen;
    let isChanged = false;
    for (const files of copies) {
      if (files === undefined) continue;
      try {
        if (!this.#accept(files)) continue;
        isChanged = true;
        await this.#keep(files);
      } catch (error) {
        report(error);
      }
    }
    return isChanged;
  }

  /** @returns false: it is older than the current one @throws RefusedError */
  #accept(files: SignedFiles): boolean {
    const { anchor, namespace } = this.#options;
    const { json, statement, keys } = openDocument(files, {
      ...anchor,
      schema: INDEX_STATEMENT,
      namespace,
      known: this.#keys,
      nowMs: undefined,
      maxBytes: MAX_INDEX_BYTES,
    });
    if (statement.number <= this.#number) return false;
    this.#current = parseLabelIndex(json);
    this.#number = statement.number;
    this.#keys = keys;
    return true;
  }

  async #keep(files: SignedFiles): Promise<void> {
    const { stateDir } = this.#options;
    if (stateDir === undefined) return;
    const path = join(stateDir, STATE_FILE);
    const text = JSON.stringify({ ...files, part: Buffer.from(files.part).toString('base64') });
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

/** Undefined when one of the files does not exist. */
async function readFiles(directory: string): Promise<SignedFiles | undefined> {
  const [statement, keys, part] = await Promise.all(
    SIGNED_FILE_NAMES.map((name) => readFile(join(directory, name)).catch(() => undefined)),
  );
  if (statement === undefined || keys === undefined || part === undefined) return undefined;
  return { 'statement.jws': statement.toString('latin1').trim(), 'keys.jws': keys.toString('latin1'), part };
}
