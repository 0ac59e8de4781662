/*
 * Reads the index of the pod's namespace: signed, in several mounted copies, or as an earlier run kept it. The newest counts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { INDEX_COPIES } from '../../api/kube/names.ts';
import type { BundleFiles } from '../../bundle/decode.ts';
import type { TrustedKeys } from '../../bundle/key-list.ts';
import { type LabelIndex, MAX_INDEX_BYTES, parseLabelIndex } from '../../bundle/label-index.ts';
import { openDocument, SIGNED_FILE_NAMES, type SignedFiles } from '../../bundle/signed-document.ts';
import { INDEX_STATEMENT } from '../../bundle/statement.ts';
import type { TrustAnchor } from '../../bundle/trust-anchor.ts';
import { replaceFile } from '../../replace-file.ts';
import { readBundleDirectory } from './bundle-directory.ts';

/** Where an index is read from, and what it must be signed by. */
export interface LabelIndexOptions {
  /** Directory of the bundle. Its copies of the index are in `index/<copy>`; those that do not exist are ignored. */
  readonly directory: string;
  readonly anchor: TrustAnchor;
  readonly namespace: string;
  /** Keeps the newest index across restarts; undefined: none is kept. */
  readonly stateDir: string | undefined;
}

const STATE_FILE = 'label-index';
const COPIES: readonly (readonly string[])[] = Array.from({ length: INDEX_COPIES }, (_, copy) =>
  SIGNED_FILE_NAMES.map((name) => `index/${copy}/${name}`),
);

/** The newest index that was accepted. */
export class LabelIndexVolume {
  readonly #options: LabelIndexOptions;
  #number = 0;
  #keys: TrustedKeys | undefined;
  #current: LabelIndex | undefined;
  /** Identifies the files that were read last; `''`: none were. */
  #mark = '';

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

  /** Reads all copies. @param report called with why an index is not accepted @returns whether another index is current now */
  async read(report: (error: unknown) => void): Promise<boolean> {
    return this.#take(await this.#readCopies(report), report);
  }

  /** Takes the copies among `content`, whose names are those in the volume. @param report as for `read` @returns as `read` */
  offer(content: BundleFiles, report: (error: unknown) => void): Promise<boolean> {
    return this.#take(copiesIn(content), report);
  }

  async #take(copies: readonly SignedFiles[], report: (error: unknown) => void): Promise<boolean> {
    let isChanged = false;
    for (const files of copies) {
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

  /** The complete copies, all of one version of the volume; none when nothing has changed since the last call. */
  async #readCopies(report: (error: unknown) => void): Promise<readonly SignedFiles[]> {
    try {
      const content = await readBundleDirectory(this.#options.directory, COPIES.flat(), this.#mark);
      if (content === undefined || content.mark === this.#mark) return [];
      this.#mark = content.mark;
      return copiesIn(content.files);
    } catch (error) {
      report(error);
      return [];
    }
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
    const text = JSON.stringify({ ...files, part: Buffer.from(files.part).toString('base64') });
    await replaceFile(join(stateDir, STATE_FILE), text);
  }
}

function copiesIn(files: BundleFiles): readonly SignedFiles[] {
  return COPIES.flatMap((names) => signedFilesOf(names.map((name) => files[name])));
}

/** None when one of the files does not exist. */
function signedFilesOf([statement, keys, part]: readonly (Uint8Array | undefined)[]): readonly SignedFiles[] {
  if (statement === undefined || keys === undefined || part === undefined) return [];
  const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  return [{ 'statement.jws': textOf(statement).trim(), 'keys.jws': textOf(keys), part }];
}
