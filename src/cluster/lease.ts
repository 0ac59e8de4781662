/*
 * Leader election among replicas with a Lease. The leader's work runs while this replica holds the lease; its signal aborts
 * when the lease is lost or the process stops, and the lease is released.
 */

import { type Clock, sleep, systemClock } from '../clock.ts';
import { RefusedError, TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { microTime } from './kube-time.ts';
import { ifFound } from './objects.ts';
import { apiVersionOf, collectionPath, LEASES, objectPath } from './paths.ts';

/** Options of {@link runWithLease}. */
export interface LeaseOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Identity of this replica, unique among replicas and across restarts, e.g. pod name and a random suffix. */
  readonly identity: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Uniform in [0, 1); absent: Math.random. */
  readonly random?: () => number;
  /** How long other replicas wait after the last renewal, in milliseconds; absent: 6 000. Stored in whole seconds. */
  readonly leaseDurationMs?: number;
  /** The leader stops if it cannot renew for this long, in milliseconds; less than the lease duration; absent: 5 000. */
  readonly renewDeadlineMs?: number;
  /** Delay between attempts to acquire or renew, in milliseconds; absent: 750. */
  readonly retryPeriodMs?: number;
  /** Called on every change with whether this replica leads, and the holder of the lease ('' if none). For `leader_election_master_status` and readiness. */
  readonly onChange?: (leading: boolean, holder: string) => void;
}

/** One term of a leader. */
export interface LeaseTerm {
  /** Milliseconds between the last renewal by any replica and the beginning of the term; Infinity: the lease did not exist. */
  readonly awayMs: number;
  /**
   * Whether no other replica can lead at present. A process that was suspended sees this before its signal aborts, so writes ask it last of
   * all.
   */
  readonly isHeld: () => boolean;
}

/** The Lease as last seen. */
interface Observed {
  readonly lease: RawObject;
  readonly spec: RawObject;
  /** '' if there is no holder. */
  readonly holder: string;
  readonly durationMs: number;
}

/**
 * Competes for the lease and runs `lead` while this replica holds it. If the lease is lost, the signal of `lead` aborts; after
 * `lead` has ended this replica competes again. Resolves when `signal` aborts (after `lead` has ended and the lease is
 * released), or when `lead` returns.
 * @throws what `lead` throws, after releasing the lease; never because of the API server
 */
export async function runWithLease(
  options: LeaseOptions,
  lead: (signal: AbortSignal, term: LeaseTerm) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const candidate = new Candidate(options);
  while (!signal.aborted) {
    if (!(await candidate.acquire(signal))) return;
    const leading = new AbortController();
    const leave = (): void => leading.abort(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    const renewal = candidate.keep(leading);
    try {
      await lead(leading.signal, { awayMs: candidate.awayMs, isHeld: () => candidate.isHeld() });
    } catch (thrown) {
      // Work that rethrows the abort reason ended as requested.
      if (!leading.signal.aborted) throw thrown;
      if (thrown !== leading.signal.reason) options.logger.warn({ err: thrown }, 'leader work failed while stopping');
    } finally {
      leading.abort();
      await renewal;
      signal.removeEventListener('abort', leave);
      if (!candidate.lost) await candidate.release();
    }
    if (!candidate.lost) return;
  }
}

/** A lease whose renewal is this much older than ours is another lease, in milliseconds. */
const RESTORED_MS = 60_000;

/** Wall-clock time of the last renewal; -Infinity: the lease does not exist or was never renewed. */
function renewedMsOf(seen: Observed | undefined): number {
  const time = Date.parse(String(seen?.spec['renewTime']));
  return Number.isNaN(time) ? Number.NEGATIVE_INFINITY : time;
}

/** One replica's attempts to acquire, renew and release the lease. */
class Candidate {
  /** Whether the last term ended because the lease was lost. */
  lost = false;
  /** See {@link LeaseTerm}, of the present term. */
  awayMs = Number.POSITIVE_INFINITY;
  readonly #options: LeaseOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #durationMs: number;
  readonly #deadlineMs: number;
  readonly #retryMs: number;
  #seen: Observed | undefined;
  /** When this spec was first seen, on the local clock. Timestamps of other machines are never compared with it. */
  #seenAtMs = 0;
  /** Start of the last successful renewal. */
  #renewedAtMs = 0;
  /** Wall-clock time of the renewal before that, by any replica; -Infinity: none. */
  #beforeMs = Number.NEGATIVE_INFINITY;
  /** Wall-clock time of the last renewal by this replica; 0: none. */
  #renewedWallMs = 0;
  /** Last reported leadership and holder. */
  #reported = '';
  /** Message of the last failure, to log repeated ones once. */
  #fault = '';

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger.child({ part: 'lease', namespace: options.namespace, name: options.name });
    this.#durationMs = options.leaseDurationMs ?? 6_000;
    this.#deadlineMs = options.renewDeadlineMs ?? 5_000;
    this.#retryMs = options.retryPeriodMs ?? 750;
  }

  /** Waits until this replica holds the lease; false if the signal aborted first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const random = this.#options.random ?? Math.random;
    this.lost = false;
    while (!signal.aborted) {
      if (await this.#attempt(this.#deadlineMs / 2, signal)) {
        this.awayMs = this.#renewedWallMs - this.#beforeMs;
        this.#logger.info({ identity: this.#options.identity }, 'became leader');
        this.#report(true, this.#options.identity);
        return true;
      }
      this.#report(false, this.#other() ?? '');
      await sleep(this.#clock, Math.min(this.#retryMs * (1 + random() / 2), this.#untilExpiryMs()), signal);
    }
    return false;
  }

  /** Whether this replica renewed the lease so recently that no other can have taken it. */
  isHeld(): boolean {
    return !this.lost && this.#clock.nowMs() - this.#renewedAtMs < this.#deadlineMs;
  }

  /** Renews until the term ends. Ends the term when the deadline passes or another replica holds the lease. Never rejects. */
  async keep(term: AbortController): Promise<void> {
    let isRenewed = true;
    while (!term.signal.aborted) {
      await sleep(this.#clock, isRenewed ? this.#retryMs : this.#retryMs / 4, term.signal);
      if (term.signal.aborted) return;
      const leftMs = this.#renewedAtMs + this.#deadlineMs - this.#clock.nowMs();
      // Half the deadline, so that after a renewal on a dead connection there is time for one on a new connection.
      isRenewed = leftMs > 0 && (await this.#attempt(Math.min(leftMs, this.#deadlineMs / 2), term.signal));
      if (term.signal.aborted) continue;
      const other = this.#other();
      // A lease that is older than our last renewal comes from a backup of the cluster: the term starts over.
      const isRestored = !isRenewed && this.#seen !== undefined && renewedMsOf(this.#seen) < this.#renewedWallMs - RESTORED_MS;
      if (isRenewed || (!isRestored && other === undefined && this.#clock.nowMs() - this.#renewedAtMs < this.#deadlineMs)) continue;
      this.lost = true;
      this.#logger.error({ holder: other ?? 'unknown' }, 'lost leadership');
      this.#report(false, other ?? '');
      term.abort(new TransientError('SP_KUBE_CONFLICT', 'leadership lost'));
    }
  }

  /** Releases the lease, so that the next leader does not have to wait for its expiry. Never rejects. */
  async release(): Promise<void> {
    const fields = { holderIdentity: '', leaseDurationSeconds: 1 };
    const signal = new AbortController().signal;
    try {
      // A renewal aborted at the end of the term may have been stored: then the first attempt conflicts.
      for (let attempt = 0; attempt < 2 && this.#seen?.holder === this.#options.identity; attempt += 1) {
        if (await this.#conflictFree(this.#put(this.#seen, fields, this.#retryMs, signal))) {
          this.#logger.info({ identity: this.#options.identity }, 'released leadership');
        } else await this.#read(this.#retryMs, signal);
      }
    } catch (thrown) {
      this.#logger.warn({ err: thrown }, 'lease not released');
    }
    this.#report(false, this.#other() ?? '');
  }

  /** One attempt to acquire or renew the lease; returns whether this replica holds it now. Never rejects. */
  async #attempt(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const startedMs = this.#clock.nowMs();
    const { identity } = this.#options;
    try {
      // As holder, the last write is the current state; if it is not, the next write conflicts.
      if (this.#seen?.holder !== identity) await this.#read(timeoutMs, signal);
      if (!this.#mayTake()) return false;
      const before = this.#seen;
      const write =
        this.#seen === undefined ? this.#create(timeoutMs, signal) : this.#put(this.#seen, this.#claim(this.#seen), timeoutMs, signal);
      if (await this.#conflictFree(write)) {
        this.#renewedAtMs = startedMs;
        // The time before this term: kept by `acquire`.
        this.#beforeMs = renewedMsOf(before);
        this.#renewedWallMs = this.#clock.wallMs();
        this.#fault = '';
        return true;
      }
      await this.#read(this.#retryMs, signal);
    } catch (thrown) {
      // A failure that repeats with every attempt is logged once.
      const fault = thrown instanceof Error ? thrown.message : '';
      if (!signal.aborted && fault !== this.#fault) this.#logger.warn({ err: thrown }, 'lease cannot be read or written');
      this.#fault = fault;
    }
    return false;
  }

  /** Last seen holder, '' if the lease is not held; undefined if it is this replica or unknown. */
  #other(): string | undefined {
    return this.#seen?.holder === this.#options.identity ? undefined : this.#seen?.holder;
  }

  /** Milliseconds until the lease of another holder expires, at least a few: the server may be down. */
  #untilExpiryMs(): number {
    const leftMs = this.#seen === undefined ? this.#retryMs : this.#seenAtMs + this.#seen.durationMs - this.#clock.nowMs();
    return leftMs <= 0 ? this.#retryMs : Math.max(leftMs, this.#retryMs / 10);
  }

  #mayTake(): boolean {
    const seen = this.#seen;
    if (seen === undefined || seen.holder === '' || seen.holder === this.#options.identity) return true;
    return this.#clock.nowMs() >= this.#seenAtMs + seen.durationMs;
  }

  #claim(before: Observed): RawObject {
    const now = microTime(this.#clock.wallMs());
    const { identity } = this.#options;
    const renewal = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(this.#durationMs / 1000), renewTime: now };
    if (before.holder === identity) return renewal;
    const transitions = before.spec['leaseTransitions'];
    return { ...renewal, acquireTime: now, leaseTransitions: (typeof transitions === 'number' ? transitions : 0) + 1 };
  }

  async #read(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const path = this.#path();
    const answer = await ifFound(this.#options.client.request({ method: 'GET', path, timeoutMs, lane: 'urgent', signal }));
    this.#observe(answer?.json);
  }

  async #create(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { client, namespace, name } = this.#options;
    const unheld: Observed = { lease: {}, spec: { leaseTransitions: -1 }, holder: '', durationMs: 0 };
    const body = { apiVersion: apiVersionOf(LEASES), kind: LEASES.kind, metadata: { namespace, name }, spec: this.#claim(unheld) };
    const path = collectionPath(LEASES, namespace);
    this.#observe((await client.request({ method: 'POST', path, body, timeoutMs, lane: 'urgent', signal })).json);
  }

  /** Compare-and-swap: writes the last seen lease with these fields of its spec if its resourceVersion is unchanged. */
  async #put(before: Observed, fields: RawObject, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const body = { ...before.lease, spec: { ...before.spec, ...fields } };
    this.#observe(
      (await this.#options.client.request({ method: 'PUT', path: this.#path(), body, timeoutMs, lane: 'urgent', signal })).json,
    );
  }

  /** False if another client wrote, created or deleted the lease in the meantime. */
  async #conflictFree(write: Promise<void>): Promise<boolean> {
    try {
      await write;
      return true;
    } catch (thrown) {
      const code = thrown instanceof TransientError || thrown instanceof RefusedError ? thrown.code : undefined;
      if (code === 'SP_KUBE_CONFLICT' || (code === 'SP_KUBE_NOT_FOUND' && this.#seen !== undefined)) return false;
      throw thrown;
    }
  }

  #observe(json: unknown): void {
    if (!isRawObject(json)) {
      this.#seen = undefined;
      return;
    }
    const spec = isRawObject(json['spec']) ? json['spec'] : {};
    const holder = typeof spec['holderIdentity'] === 'string' ? spec['holderIdentity'] : '';
    const seconds = spec['leaseDurationSeconds'];
    const changed = JSON.stringify(spec) !== JSON.stringify(this.#seen?.spec);
    if (changed) this.#seenAtMs = this.#clock.nowMs();
    this.#seen = { lease: json, spec, holder, durationMs: typeof seconds === 'number' ? seconds * 1000 : this.#durationMs };
  }

  #path(): string {
    return objectPath({ resource: LEASES, namespace: this.#options.namespace, name: this.#options.name });
  }

  #report(leading: boolean, holder: string): void {
    const report = `${leading} ${holder}`;
    if (report === this.#reported) return;
    this.#reported = report;
    this.#options.onChange?.(leading, holder);
  }
}
