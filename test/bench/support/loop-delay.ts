/*
 * The delay of the event loop of a process under measurement.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../support/fake-clock.ts';

const RECORDER = new URL('record-loop-delay.mjs', import.meta.url).href;

/** Measures one process at a time. */
export class LoopDelay {
  readonly #directory = mkdtempSync(join(tmpdir(), 'sallyport-loop-'));

  /** Options of Node.js for the process. */
  get nodeOptions(): string {
    return `--import ${RECORDER}`;
  }

  /** Environment of the process. */
  get env(): Readonly<Record<string, string>> {
    return { LOOP_DELAY_FILE: this.#file };
  }

  /** The 99th percentile since the last call, or since the start of the process, in milliseconds. */
  async read(pid: number): Promise<number> {
    rmSync(this.#file, { force: true });
    process.kill(pid, 'SIGUSR2');
    await until(() => existsSync(this.#file), 'the delay of the event loop');
    return Number(readFileSync(this.#file, 'utf8'));
  }

  /** Removes the file. */
  close(): void {
    rmSync(this.#directory, { recursive: true });
  }

  get #file(): string {
    return join(this.#directory, 'p99');
  }
}
