/*
 * The agent's intake: follows the bundle's folder and the pod's labels, and keeps the judge in force. In: files. Out: a
 * {@link PolicyInForce} whenever another program is to be enforced; refusals are logged and counted, the last good bundle stays.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import type { KeySet } from '../../bundle/bundle.ts';
import { type BundleFiles, type DecodedBundle, decodeBundle } from '../../bundle/decode.ts';
import { type ErrorCode, RefusedError } from '../../errors.ts';
import type { FilterChain } from '../../filters/filter-chain.ts';
import { watchDirectories } from '../../fs-watch/watch-directories.ts';
import type { Program } from '../../policy/model/program.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { PolicyInForce } from '../context.ts';
import { readBundleFolder } from './bundle-folder.ts';
import { chooseProgram } from './choose-program.ts';
import { readLastGood, writeLastGood } from './last-good.ts';
import { parsePodLabels } from './pod-labels.ts';

export interface IntakeOptions {
  /** Folder of the bundle. */
  readonly bundleDir: string;
  /** Bundles for any other workload are refused; undefined: any is taken. */
  readonly workload: WorkloadRef | undefined;
  /** Downward-API file with the pod's labels; undefined: `labels` counts. */
  readonly labelsFile: string | undefined;
  /** Labels of the pod when there is no file; undefined: unknown. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Folder that keeps the last good bundle over restarts; undefined: none. */
  readonly stateDir: string | undefined;
  /** Milliseconds between looks when nothing is noticed. */
  readonly pollMs: number;
}

/** What the intake needs and whom it tells. */
export interface IntakeHost {
  readonly logger: Logger;
  createFilterChain(program: Program, keySets: Readonly<Record<string, KeySet>>): FilterChain;
  /** Another judge is in force. */
  onPolicy(policy: PolicyInForce): void;
  /** A new bundle was refused. */
  onRefused(code: ErrorCode): void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #host: IntakeHost;
  #mark = '';
  #good: DecodedBundle | undefined;
  #labels: Readonly<Record<string, string>> | undefined;
  #inForce: Program | undefined;
  #inForceDigest = '';
  /** The last complaint of each kind, so that it is told once and not at every look. */
  readonly #complaints = new Map<string, string>();

  constructor(options: IntakeOptions, host: IntakeHost) {
    this.#options = options;
    this.#host = host;
    this.#labels = options.labels;
  }

  /** Looks for a first bundle, in the folder, then among what was kept. Never throws. */
  async begin(): Promise<void> {
    await this.look();
    if (this.#good === undefined) await this.#restore();
  }

  /** Follows the folder until `signal` aborts; then resolves. */
  async follow(signal: AbortSignal): Promise<void> {
    const { bundleDir, labelsFile, pollMs } = this.#options;
    const directories = labelsFile === undefined ? [bundleDir] : [bundleDir, dirname(labelsFile)];
    await watchDirectories({ directories, pollMs: () => pollMs, onChange: () => this.look() }, signal);
  }

  /** Looks once; never throws. */
  async look(): Promise<void> {
    await this.#lookAtLabels();
    await this.#lookAtBundle();
    this.#choose();
  }

  async #lookAtLabels(): Promise<void> {
    const { labelsFile } = this.#options;
    if (labelsFile === undefined) return;
    try {
      this.#labels = parsePodLabels(await readFile(labelsFile, 'utf8'));
    } catch (error) {
      this.#complain('pod labels unreadable, keeping the last known ones', error);
    }
  }

  async #lookAtBundle(): Promise<void> {
    let mark = '';
    try {
      const content = await readBundleFolder(this.#options.bundleDir, this.#mark);
      if (content === undefined || content.mark === this.#mark) return;
      mark = content.mark;
      this.#accept(content.files);
      this.#mark = mark;
      await this.#save(content.files);
    } catch (error) {
      // The same files are not read again; any change of them is.
      if (mark !== '') this.#mark = mark;
      this.#refuse(error);
    }
  }

  #accept(files: BundleFiles): void {
    const decoded = decodeBundle(files, this.#options.workload);
    if (decoded.digest === this.#good?.digest) return;
    this.#good = decoded;
    this.#complaints.clear();
    this.#host.logger.info({ digest: decoded.digest, workload: workloadKey(decoded.bundle.workload) }, 'bundle accepted');
  }

  #refuse(error: unknown): void {
    if (!this.#complain('bundle refused, the last good one stays', error)) return;
    this.#host.onRefused(error instanceof RefusedError ? error.code : 'SP_BUNDLE_UNREADABLE');
  }

  /** Logs once until something else is wrong. @returns whether it was news */
  #complain(message: string, error: unknown): boolean {
    const err = error instanceof Error ? error : new Error(String(error));
    const complaint = `${this.#mark} ${err.message}`;
    if (this.#complaints.get(message) === complaint) return false;
    this.#complaints.set(message, complaint);
    const code = err instanceof RefusedError ? err.code : undefined;
    this.#host.logger.error({ err, code, digest: this.#good?.digest }, message);
    return true;
  }

  /** Puts the program for this pod in force, unless it already is. */
  #choose(): void {
    const good = this.#good;
    if (good === undefined) return;
    const program = chooseProgram(good.bundle, this.#labels);
    if (program === undefined) {
      this.#complain(
        'bundle has no program for the labels of this pod, the current one stays',
        new Error(describeLabels(good, this.#labels)),
      );
      return;
    }
    if (program === this.#inForce && good.digest === this.#inForceDigest) return;
    try {
      const filterChain = this.#host.createFilterChain(program, good.bundle.keySets);
      this.#inForce = program;
      this.#inForceDigest = good.digest;
      this.#host.onPolicy({
        filterChain,
        digest: good.digest,
      });
      this.#host.logger.info({ digest: good.digest }, 'program in force');
    } catch (error) {
      this.#refuse(error);
    }
  }

  async #save(files: BundleFiles): Promise<void> {
    const { stateDir } = this.#options;
    if (stateDir === undefined) return;
    try {
      await writeLastGood(stateDir, files);
    } catch (error) {
      // A restart then waits for the volume; the bundle itself is in force.
      this.#host.logger.warn({ err: error }, 'last good bundle not kept');
    }
  }

  async #restore(): Promise<void> {
    const { stateDir } = this.#options;
    const files = stateDir === undefined ? undefined : await readLastGood(stateDir);
    if (files === undefined) return;
    try {
      this.#accept(files);
      this.#choose();
      this.#host.logger.warn({ digest: this.#good?.digest }, 'volume holds no good bundle, the last good one of this pod is in force');
    } catch (error) {
      this.#refuse(error);
    }
  }
}

function describeLabels(good: DecodedBundle, labels: Readonly<Record<string, string>> | undefined): string {
  if (labels === undefined) return 'labels unknown';
  return good.bundle.relevantLabels.map((key) => `${key}=${Object.hasOwn(labels, key) ? labels[key] : '(absent)'}`).join(', ');
}
