/*
 * Keeps the certificate that the agent uses up to date with its files. A pair that is incomplete or does not fit together, as while another
 * process writes it, changes nothing.
 */
import type { Clock } from '../../clock.ts';
import { watchDirectories } from '../../fs-watch/watch-directories.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { pauseFor } from '../../limits/timers.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { readTlsFiles, type TlsFiles, type TlsMaterial } from './certificate-files.ts';
import type { TlsObserver } from './tls-observer.ts';

/** Options of {@link TlsCertificates}. */
export interface TlsCertificatesOptions {
  readonly files: TlsFiles;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: Pick<TlsObserver, 'onCertificate' | 'onCertificateRefused'>;
}

/** The certificate of one agent. */
export class TlsCertificates {
  readonly #options: TlsCertificatesOptions;
  #current: TlsMaterial | undefined;
  /** What was reported last; `''`: the last read was good. */
  #problem = '';

  constructor(options: TlsCertificatesOptions) {
    this.#options = options;
  }

  /** The last good certificate, which handshakes from now on use; undefined: none yet. */
  get current(): TlsMaterial | undefined {
    return this.#current;
  }

  /** Why there is no certificate yet; undefined: there is one. */
  get problem(): string | undefined {
    return this.#current === undefined ? this.#problem : undefined;
  }

  /** Reads the files once; a problem is reported. */
  async begin(): Promise<void> {
    try {
      await this.#read();
    } catch (error) {
      this.#report(error);
    }
  }

  /** Reads the files whenever they change, until the signal aborts. */
  follow(signal: AbortSignal): Promise<void> {
    const { directory } = this.#options.files;
    return watchDirectories(
      { directories: [directory], pollMs: () => LIMITS.tlsFilePoll.value, onChange: () => this.#refresh(signal) },
      signal,
    );
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    try {
      await this.#read();
    } catch {
      // The files may be half written: only what stays wrong is reported.
      await pauseFor(LIMITS.tlsFileRetry, LIMITS.tlsFileRetry.value, signal);
      if (!signal.aborted) await this.begin();
    }
  }

  async #read(): Promise<void> {
    const { files, clock, logger, observer } = this.#options;
    const read = await readTlsFiles(files, this.#current?.digest, clock.wallMs());
    this.#problem = '';
    if (read === undefined) return;
    this.#current = read;
    observer.onCertificate(read.expiresMs);
    logger.info({ directory: files.directory, uri: read.uri, expires: new Date(read.expiresMs).toISOString() }, 'TLS certificate in use');
  }

  #report(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (problem === this.#problem) return;
    this.#problem = problem;
    const { files, logger, observer } = this.#options;
    observer.onCertificateRefused();
    logger.warn({ directory: files.directory, problem }, 'cannot use the TLS certificate in the files, the last good one stays');
  }
}
