/*
 * The tokens that an authenticator has examined before, and those of the request at hand: each is looked up and parsed once for all
 * rules.
 */
import type { TokenPartition } from './token-cache.ts';
import type { TokenFault } from './token-fault.ts';
import { TokenRecord, type VerifiedToken } from './token-record.ts';

/**
 * Called when no rule accepts a request, for each rule whose key set lacks the key that a token of its issuer names.
 * @param kid returns the `kid` of the token; `''`: it has none. To be called immediately or not at all
 */
export type UnknownKeyListener = (keySet: string, kid: () => string) => void;

/** One for each authenticator. */
export class KnownTokens {
  readonly #partition: TokenPartition<TokenRecord>;
  readonly #onVerification: () => void;
  /** Tokens of the request at hand that are not in the cache. */
  #texts: string[] = [];
  /** The token that {@link has} found last, so that it is looked up once. */
  #cachedText: string | undefined;
  #cached: TokenRecord | undefined;
  #records: (TokenRecord | TokenFault)[] = [];
  readonly #onUnknownKey: UnknownKeyListener | undefined;
  /**
   * By key set, a token of the request at hand whose key it lacks. It is dropped, never cleared: the table of a cleared map refers to the next
   * one, so that a table of the old generation would keep those of all later requests.
   */
  #unknown: Map<string, TokenRecord> | undefined;

  /** @param onVerification is called before every verification of a signature */
  constructor(partition: TokenPartition<TokenRecord>, onVerification: () => void, onUnknownKey?: UnknownKeyListener) {
    this.#partition = partition;
    this.#onVerification = onVerification;
    this.#onUnknownKey = onUnknownKey;
  }

  /** The key set lacks the key of the token. */
  lacksKey(keySet: string, record: TokenRecord): void {
    if (this.#onUnknownKey === undefined) return;
    this.#unknown ??= new Map();
    this.#unknown.set(keySet, record);
  }

  /** The request at hand is refused: reports the keys that its tokens name and that are unknown. */
  refuse(): void {
    for (const [keySet, record] of this.#unknown ?? []) this.#onUnknownKey?.(keySet, () => record.parsed().kid);
  }

  /** The request at hand is over. */
  end(): void {
    this.#cachedText = undefined;
    this.#cached = undefined;
    this.#unknown = undefined;
    if (this.#texts.length === 0) return;
    for (const record of this.#records) if (typeof record !== 'string') record.forgetParsed();
    this.#texts = [];
    this.#records = [];
  }

  /** The record of a token; the fault of a malformed one. */
  find(text: string): TokenRecord | TokenFault {
    const cached = text === this.#cachedText ? this.#cached : this.#partition.get(text);
    if (cached !== undefined) return cached;
    const at = this.#texts.indexOf(text);
    if (at !== -1) return this.#records[at] as TokenRecord | TokenFault;
    const record = TokenRecord.of(text);
    this.#texts.push(text);
    this.#records.push(record);
    return record;
  }

  /** Is the token in the cache? */
  has(text: string): boolean {
    this.#cached = this.#partition.get(text);
    this.#cachedText = text;
    return this.#cached !== undefined;
  }

  /** Keeps the result of a rule, unless the cache is too small. */
  keep(record: TokenRecord, rule: number, outcome: VerifiedToken | TokenFault, bytes: number): void {
    const isRefused = typeof outcome === 'string';
    if (!isRefused && record.isRefused) this.#partition.remove(record);
    record.addResult(rule, outcome, bytes);
    if (record.pool !== undefined) return;
    if (isRefused) this.#partition.addRefused(record);
    else this.#partition.add(record, rule);
  }

  /** A signature is verified now. */
  onVerification(): void {
    this.#onVerification();
  }

  /** Drops everything that was examined, and keeps nothing from now on. */
  release(): void {
    this.#partition.release();
  }
}
