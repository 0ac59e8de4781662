/*
 * What is known of one token, for all JWT rules of an authenticator: the claims that every check reads, and the result of each rule
 * that has examined it. The cache stores records.
 */
import type { HeaderList } from '../http/header-list.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import type { TokenNotes } from '../policy/token-notes.ts';
import type { JsonObject } from './parse-json.ts';
import { type ParsedToken, parseToken } from './parse-token.ts';
import type { TokenFault } from './token-fault.ts';
import { CacheEntry } from './token-pool.ts';
import { stringBytes } from './token-size.ts';

/** A token that passed every check of one rule. Shared by the requests that carry it; immutable. */
export interface VerifiedToken {
  readonly kind: 'verified';
  readonly text: string;
  readonly provider: JwtProvider;
  /** The payload as policies see it: space-delimited claims are arrays. */
  readonly claims: JsonObject;
  /** Results that the evaluator caches for these claims. */
  readonly notes: TokenNotes;
  /** `iss/sub`; either may be empty. */
  readonly principal: string;
  readonly notBefore: number;
  readonly expires: number;
  /** Headers that the upstream gets for this token. */
  readonly outputHeaders: HeaderList;
}

/** The result of one rule that does not depend on the time. */
interface RuleResult {
  /** Number of the rule. */
  readonly rule: number;
  readonly outcome: VerifiedToken | TokenFault;
}

/** The record itself, its slot in the map of the cache, and the result of one rule. */
const RECORD_BYTES = 480;
const RESULT_BYTES = 64;

/** A well-formed token and what the rules made of it. */
export class TokenRecord extends CacheEntry {
  /** `''`: no `iss`. */
  readonly issuer: string;
  /** Whole Unix seconds; 0: absent. */
  readonly notBefore: number;
  /** Whole Unix seconds; 0: never expires. */
  readonly expires: number;
  readonly #results: RuleResult[] = [];
  /** Until {@link forgetParsed}, so that several rules parse the token once. */
  #parsed: ParsedToken | undefined;

  private constructor(text: string, parsed: ParsedToken) {
    super(text, RECORD_BYTES + stringBytes(text));
    this.issuer = parsed.issuer;
    this.notBefore = parsed.notBefore;
    this.expires = parsed.expires;
    this.#parsed = parsed;
  }

  /** The record of a token that no rule has examined yet; the fault of a malformed one. */
  static of(text: string): TokenRecord | TokenFault {
    // A copy: the token is a slice of the request head, which no record may keep in memory.
    const own = Buffer.from(text, 'latin1').toString('latin1');
    const parsed = parseToken(own);
    return typeof parsed === 'string' ? parsed : new TokenRecord(own, parsed);
  }

  /** The whole token. Parsed again after {@link forgetParsed}. */
  parsed(): ParsedToken {
    const parsed = this.#parsed ?? parseToken(this.text);
    if (typeof parsed === 'string') throw new Error(`a token that was parsed before is malformed: ${parsed}`);
    return parsed;
  }

  /** Keeps only what the checks of a known token need. */
  forgetParsed(): void {
    this.#parsed = undefined;
  }

  /** What the rule with this number made of the token; `undefined`: it has not examined it. */
  resultOf(rule: number): VerifiedToken | TokenFault | undefined {
    for (const result of this.#results) if (result.rule === rule) return result.outcome;
    return undefined;
  }

  /** No rule has accepted it so far. */
  get isRefused(): boolean {
    return this.#results.every(({ outcome }) => typeof outcome === 'string');
  }

  /** Keeps the result of a rule. @param bytes estimated memory of `outcome` */
  addResult(rule: number, outcome: VerifiedToken | TokenFault, bytes: number): void {
    this.#results.push({ rule, outcome });
    this.retain(RESULT_BYTES + bytes);
  }
}
