/*
 * The pods behind addresses, as the controller reports them over the feed. An address counts only while the table is young, and only for
 * connections that have not been of another pod before: whatever is doubtful is unknown.
 */
import { encodeQuestion, IDENTITY_MAX_AGE_MS, type IdentityEntry, type IdentityUpdate, parseUpdate } from '../../feed/identities.ts';
import type { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import type { ConnectionFacts, PeerIdentity } from '../../policy/facts.ts';

/** Monotonic and wall time in milliseconds. */
export interface IdentityClock {
  readonly nowMs: () => number;
  readonly wallMs: () => number;
}

/** The pod that has an address. */
interface Pod {
  /** Shared by the pods of one account. */
  readonly peer: PeerIdentity;
  readonly owner: string;
}

type Table = BoundedMap<string, Pod>;
type Limits = Pick<typeof LIMITS, 'podIdentities' | 'podAccounts' | 'identityQuestions'>;

/** Questions whose answers may still arrive. */
interface Question {
  readonly askedMs: number;
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** The table of one agent. */
export class PodIdentities {
  readonly #limits: Limits;
  readonly #clock: IdentityClock;
  /** The table that counts, by {@link #answered}. */
  #counted: Table;
  /** The newest whole table: that one, or its successor until a question is answered. */
  #table: Table;
  /** The next table, until its last part has arrived. */
  #next: { readonly table: Table; readonly version: number } | undefined;
  /** Of the newest whole table; 0: nothing that could be continued. */
  #version = 0;
  /** By namespace and account. */
  #peers: BoundedMap<string, PeerIdentity>;
  #trustDomain = '';
  readonly #questions: BoundedMap<number, Question>;
  /** The question that the table that counts answers; undefined: none. */
  #answered: Question | undefined;
  /** The first pod of a connection. */
  readonly #owners = new WeakMap<ConnectionFacts, string>();

  constructor(limits: Limits, clock: IdentityClock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#table = new BoundedMap(limits.podIdentities);
    this.#counted = this.#table;
    this.#peers = new BoundedMap(limits.podAccounts);
    this.#questions = new BoundedMap(limits.identityQuestions);
  }

  /** Whether the table counts now. */
  get isCurrent(): boolean {
    return this.ageMs <= IDENTITY_MAX_AGE_MS;
  }

  /** Number of addresses that are known now. */
  get size(): number {
    return this.isCurrent ? this.#counted.size : 0;
  }

  /** Longest time for which the table may have been out of date, in milliseconds; infinite without a table. */
  get ageMs(): number {
    const answered = this.#answered;
    if (answered === undefined) return Number.POSITIVE_INFINITY;
    // The monotonic clock of some machines stops while they are suspended; the wall clock may be set back.
    return Math.max(this.#clock.nowMs() - answered.monotonicMs, this.#clock.wallMs() - answered.wallMs);
  }

  /** The next question, as the payload of a frame. */
  question(): Buffer {
    const question = { monotonicMs: this.#clock.nowMs(), wallMs: this.#clock.wallMs(), askedMs: Math.floor(this.#clock.nowMs()) };
    this.#questions.set(question.askedMs, question);
    return encodeQuestion({ version: this.#version, askedMs: question.askedMs });
  }

  /** A new stream, perhaps to another controller: the table counts until it is too old, and cannot be continued. */
  reconnect(): void {
    this.#version = 0;
    this.#next = undefined;
    this.#questions.clear();
  }

  /** Takes an update. One that does not fit is not applied, and the next question is for the whole table. */
  apply(payload: Buffer): void {
    const update = parseUpdate(payload);
    if (update === undefined || !this.#take(update)) this.#forget();
  }

  /** The identity of the pod at the other end of a connection; undefined: unknown. */
  identityOf(connection: ConnectionFacts): PeerIdentity | undefined {
    if (!this.isCurrent) return undefined;
    const pod = this.#counted.get(connection.sourceIp);
    if (pod === undefined) return undefined;
    const first = this.#owners.get(connection) ?? pod.owner;
    this.#owners.set(connection, first);
    // A connection cannot pass from one pod to another.
    return first === pod.owner ? pod.peer : undefined;
  }

  #take(update: IdentityUpdate): boolean {
    if (update.kind === 'current') return this.#confirm(update.version, update.askedMs);
    if (update.kind === 'table') return this.#load(update);
    // Changes follow the whole table, also while the former one is still continued.
    if (this.#version !== update.from) return false;
    for (const address of update.drop) this.#table.delete(address);
    for (const entry of update.put) this.#put(this.#table, entry);
    this.#version = update.version;
    return true;
  }

  #load({ version, isFirst, isLast, trustDomain, put }: Extract<IdentityUpdate, { readonly kind: 'table' }>): boolean {
    if (isFirst) {
      this.#next = { table: new BoundedMap(this.#limits.podIdentities), version };
      if (trustDomain !== this.#trustDomain) this.#peers = new BoundedMap(this.#limits.podAccounts);
      this.#trustDomain = trustDomain;
    }
    const next = this.#next;
    if (next === undefined || next.version !== version) return false;
    for (const entry of put) this.#put(next.table, entry);
    if (!isLast) return true;
    this.#table = next.table;
    this.#version = version;
    this.#next = undefined;
    // The former one counts until this one is confirmed: its age says nothing about this one.
    return true;
  }

  #confirm(version: number, askedMs: number): boolean {
    const question = this.#questions.get(askedMs);
    if (question === undefined || this.#version === 0 || version !== this.#version) return false;
    this.#counted = this.#table;
    this.#answered = question;
    return true;
  }

  #put(table: Table, [address, namespace, serviceAccount, owner]: IdentityEntry): void {
    const account = `${namespace}/${serviceAccount}`;
    const peer = this.#peers.get(account) ?? {
      uris: [`spiffe://${this.#trustDomain}/ns/${namespace}/sa/${serviceAccount}`],
      dnsNames: [],
      subject: '',
    };
    this.#peers.set(account, peer);
    table.set(address, { peer, owner });
  }

  #forget(): void {
    this.#version = 0;
    this.#next = undefined;
    this.#answered = undefined;
    this.#table = new BoundedMap(this.#limits.podIdentities);
    this.#counted = this.#table;
  }
}
