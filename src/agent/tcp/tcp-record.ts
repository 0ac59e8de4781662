/*
 * What the access log and the metrics learn about a TCP connection when it is over.
 */

import type { Decision } from '../../policy/decide/decision.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { Provenance } from '../../policy/model/program.ts';
import type { RevocationReason } from '../context.ts';

/** Outcome of a TCP connection: that of its verdict, `closed` without an active policy, `none` when it ended before a verdict. */
export type TcpOutcome = 'allow' | 'deny' | 'closed' | 'none';

/** One TCP connection. */
export interface TcpRecord {
  readonly facts: ConnectionFacts;
  readonly outcome: TcpOutcome;
  /** Envoy's connection termination details; `''`: it was allowed and ended in good order. */
  readonly details: string;
  /** Absent: no rule was evaluated. */
  readonly decision?: Decision;
  /** The CUSTOM rule that denied the connection. */
  readonly customRule?: Provenance;
  /** Digest of the bundle that decided; `''`: none did. */
  readonly digest: string;
  /** The connection was allowed, and ended because it was evaluated again. Absent: it was not. */
  readonly revoked?: RevocationReason;
  /** Monotonic milliseconds. */
  readonly startMs: number;
  /** Bytes from the client to the application. */
  readonly received: number;
  /** Bytes from the application to the client. */
  readonly sent: number;
}

/** Receives every TCP connection once, when it is over. */
export interface TcpObserver {
  /** Must neither throw nor block. */
  onTcpConnection(record: TcpRecord): void;
}
