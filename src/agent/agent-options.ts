/*
 * Settings of one agent.
 */
import type { AppProbes, AppProtocol } from '../api/kube/agent-contract.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { BundleOptions } from './bundles/bundles.ts';
import type { AgentLimits, ExtAuthzClient } from './context.ts';
import type { ReaderOrProblem } from './listener/original-destination.ts';
import type { TlsFiles } from './tls/certificate-files.ts';
import type { TlsMode } from './tls/tls-termination.ts';
import type { TraceOptions } from './traces/traces.ts';

/** A port that the agent protects. */
export interface GuardedPort {
  /** 0: any free port. */
  readonly listenPort: number;
  /** Port of the application: requests are forwarded to it, and policies see it as destination port. */
  readonly appPort: number;
}

/** Settings of one agent, from its entry point or from `sallyport run`. */
export interface AgentOptions extends BundleOptions {
  readonly ports: readonly GuardedPort[];
  /** Undefined: every address. */
  readonly listenHost: string | undefined;
  /** Host of the application. */
  readonly appHost: string;
  /** The pod's address as policies see it; undefined: the address that each client connected to. */
  readonly destinationIp: string | undefined;
  /**
   * Port to which all inbound connections are redirected; each leads to the address and port that its client connected to. Undefined: only
   * `ports` are served.
   */
  readonly capturePort?: number | undefined;
  /** Reads original destinations; absent: opened when `capturePort` needs it. */
  readonly originalDestination?: ReaderOrProblem;
  /** Port that refuses every connection; undefined: no blocked port. */
  readonly blockedPort: number | undefined;
  /** Undefined: no admin server. */
  readonly admin: { readonly host: string | undefined; readonly port: number } | undefined;
  /** Port on which the process serves profiles: captured connections do not lead there. Absent: none. */
  readonly profilingPort?: number | undefined;
  readonly appProbes: AppProbes;
  /** What the application speaks on its ports; 0: on every other port. Absent: `client`. */
  readonly appProtocols?: ReadonlyMap<number, AppProtocol>;
  /** Serve clients that speak HTTP/1.0; absent: they get 426. */
  readonly acceptHttp10?: boolean;
  /** How TLS is terminated; absent or undefined: it passes through. */
  readonly tls?: { readonly mode: TlsMode; readonly trustDomains: readonly string[]; readonly files: TlsFiles } | undefined;
  /** Evaluate streams again when the policy changes and when their token expires; absent: they live as long as both sides want. */
  readonly reevaluateStreams?: boolean;
  /** Undefined: no access log. */
  readonly accessLog: { readonly fd: number; readonly allowSampleRate: number } | undefined;
  readonly limits?: Partial<AgentLimits>;
  /** How long exchanges may continue after `stop`, in milliseconds. */
  readonly drainMs: number;
  readonly logger: Logger;
  /** Absent: no traces; `traceparent` of clients reaches the application unchanged. */
  readonly traces?: TraceOptions | undefined;
  /** Export the metrics of Node.js as well; only for the single agent of a process. */
  readonly processMetrics: boolean;
  /** Replaces the client that sends checks to the providers of the bundle. */
  readonly extAuthz?: ExtAuthzClient;
  readonly clock?: Clock;
}
