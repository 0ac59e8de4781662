/*
 * What the access log and the metrics learn about an exchange when it is over.
 */
import type { VerdictLog } from '../../filters/verdict.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { RevocationReason } from '../context.ts';

/** One exchange. The object is reused, so its values are valid during the call only. */
export interface ExchangeRecord {
  /** Version of HTTP of the client. */
  readonly protocol: '1.0' | '1.1' | '2';
  readonly method: string;
  /** Normalized path as the policies saw it; without a verdict the request target. */
  readonly path: string;
  readonly status: number;
  /** Monotonic milliseconds at the end of the request's head; 0: no byte arrived. */
  readonly startMs: number;
  /** Monotonic milliseconds at the verdict; 0: no verdict. */
  readonly evaluatedMs: number;
  readonly requestId: string;
  /** Of the request, as the codec read them; empty once it is forwarded. */
  readonly headers: HeaderList;
  readonly sourceIp: string;
  readonly destinationPort: number;
  /** Version of TLS that the agent terminated, and the server name in it (`''`: none); undefined: it terminated none. */
  readonly tls: { readonly version: string; readonly serverName: string } | undefined;
  /** Absent: the codec refused the request, or no bundle is loaded. */
  readonly verdict: VerdictLog | undefined;
  /** Response code details; `''`: forwarded and answered. */
  readonly details: string;
  /** Digest of the bundle that decided; `''`: none did. */
  readonly digest: string;
  /** The exchange was allowed, and ended because it was evaluated again: `verdict` is the second one. Absent: it was not. */
  readonly revoked?: RevocationReason | undefined;
}

/** Receives every exchange once, when it is over. */
export interface ExchangeObserver {
  /** Must neither throw nor block. */
  onExchange(record: ExchangeRecord): void;
}
