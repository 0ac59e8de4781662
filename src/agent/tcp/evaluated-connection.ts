/*
 * The verdict on a TCP connection: the TCP rules evaluate it, the ext_authz servers that they name are asked, and a live connection is evaluated
 * again when the policy changes. What it means for the bytes of both sides is the other half, `TcpConnection`.
 */
import type { ConnectionCheck, ConnectionVerdict } from '../../filters/evaluate-connection.ts';
import type { FilterChain } from '../../filters/filter-chain.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { Provenance } from '../../policy/model/program.ts';
import type { ActivePolicy, LiveStream } from '../context.ts';
import type { CloseReason } from '../http1/server-host.ts';
import { ConnectionChecks, denialOf } from './connection-check.ts';
import type { TcpHost } from './tcp-host.ts';
import type { TcpRecord } from './tcp-record.ts';

type TcpVerdict = Pick<TcpRecord, 'outcome' | 'details' | 'decision' | 'customRule' | 'digest' | 'revoked'>;

/** A TCP connection up to its verdict, and what becomes of the verdict. */
export abstract class EvaluatedConnection implements LiveStream {
  readonly isPassing = true;
  /** The TCP rules know no tokens. */
  readonly expiresAt = 0;
  protected readonly host: TcpHost;
  protected readonly facts: ConnectionFacts;
  /** Of a ClientHello that passes; undefined: none has. */
  protected serverName: string | undefined;
  /** With the identity of the peer by which it was evaluated last. */
  protected identified: ConnectionFacts;
  protected verdict: TcpVerdict = { outcome: 'none', details: '', digest: '' };
  readonly #checks = new ConnectionChecks();

  constructor(facts: ConnectionFacts, host: TcpHost) {
    this.facts = facts;
    this.identified = facts;
    this.host = host;
  }

  reevaluate(policy: ActivePolicy | undefined): void {
    if (policy === undefined) {
      this.#revoke({ outcome: 'closed', details: this.host.replyWithoutPolicy().details, digest: '', revoked: 'no-policy' });
      return;
    }
    const verdict = this.#checks.resume(this.verdictUnder(policy));
    if (verdict.kind === 'allow') return;
    const revoked = verdict.kind === 'check' ? 'ext-authz' : 'denied';
    this.#revoke({ outcome: 'deny', digest: policy.digest, ...denialOf(verdict), revoked });
  }

  /** Evaluates the connection. @param mayCheck false: a check denies @returns false: it was refused, or an ext_authz server is asked */
  protected evaluate(mayCheck: boolean): boolean {
    const policy = this.host.activePolicy();
    if (policy === undefined) {
      this.refuse({ outcome: 'closed', details: this.host.replyWithoutPolicy().details, digest: '' });
      return false;
    }
    return this.#apply(this.verdictUnder(policy), policy, mayCheck);
  }

  /** The verdict of `policy` on the connection as it is known now. */
  protected verdictUnder({ filterChain }: ActivePolicy): ConnectionVerdict {
    this.identify(filterChain);
    return filterChain.evaluateConnection(this.identified);
  }

  /** Identifies the peer for an evaluation. */
  protected identify(filterChain: FilterChain): void {
    // The same object each time: by it, a connection is of one pod for as long as it lives.
    const identified = filterChain.identify(this.facts);
    this.identified = this.serverName === undefined ? identified : { ...identified, sni: this.serverName };
  }

  /** From now on the connection is evaluated again when the policy changes. @param policy has allowed it */
  protected followPolicy(policy: ActivePolicy | undefined): void {
    if (this.host.liveStreams?.add(this, policy) === false) this.destroy('overload');
  }

  protected refuse(verdict: TcpVerdict): void {
    this.verdict = verdict;
    this.destroy('refused');
  }

  /** The client's connection is closed. */
  protected endEvaluation(): void {
    this.#checks.abort();
    this.host.liveStreams?.delete(this);
  }

  #apply(verdict: ConnectionVerdict, policy: ActivePolicy, mayCheck: boolean, asked?: Provenance): boolean {
    const { digest } = policy;
    if (verdict.kind === 'check' && mayCheck) {
      this.#startCheck(verdict, policy);
      return false;
    }
    if (verdict.kind !== 'allow') {
      const by = verdict.kind === 'deny' && verdict.decision === undefined && asked !== undefined ? { customRule: asked } : {};
      this.refuse({ outcome: 'deny', digest, ...denialOf(verdict), ...by });
      return false;
    }
    this.verdict = { outcome: 'allow', details: '', decision: verdict.decision, digest };
    this.onAllowed();
    this.followPolicy(policy);
    return true;
  }

  #startCheck(check: ConnectionCheck, policy: ActivePolicy): void {
    this.onCheck();
    this.#checks.start(check, this.identified, this.host.extAuthz, (allowed) => {
      if (this.#apply(check.resume(allowed), policy, true, check.rule.source)) this.onChecked();
    });
  }

  #revoke(verdict: TcpVerdict): void {
    this.verdict = verdict;
    this.host.liveStreams?.delete(this);
    this.destroy('revoked');
  }

  /** Drops the connection. */
  abstract destroy(reason: CloseReason): void;
  /** Bytes may pass from now on. */
  protected abstract onAllowed(): void;
  /** An ext_authz server is asked: until the verdict, nothing of the client is forwarded. */
  protected abstract onCheck(): void;
  /** The last server has allowed the connection. */
  protected abstract onChecked(): void;
}
