/*
 * What an agent is told when it starts. In: made by the entry point and by `sallyport run`. Out: read by the agent and by
 * each of its parts.
 */
import type { AppProbes } from '../api/kube/agent-contract.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { IntakeOptions } from './bundles/bundles.ts';
import type { Authorizer, ProxyLimits } from './context.ts';

/** A port that the agent guards. */
export interface GuardedPort {
  /** 0: any free port. */
  readonly listenPort: number;
  /** The application's port: where requests go, and what policies see as destination port. */
  readonly appPort: number;
}

export interface AgentOptions extends IntakeOptions {
  readonly ports: readonly GuardedPort[];
  /** Undefined: every address. */
  readonly listenHost: string | undefined;
  /** Where the application is reached. */
  readonly appHost: string;
  /** The pod's address as policies see it; undefined: the address each client connected to. */
  readonly destinationIp: string | undefined;
  /** Undefined: no such port. */
  readonly blockedPort: number | undefined;
  /** Undefined: no admin server. */
  readonly admin: { readonly host: string | undefined; readonly port: number } | undefined;
  readonly appProbes: AppProbes;
  /** Undefined: no access log. */
  readonly accessLog: { readonly fd: number; readonly allowSampleRate: number } | undefined;
  readonly limits?: Partial<ProxyLimits>;
  /** How long exchanges may go on after `stop`, in milliseconds. */
  readonly drainMs: number;
  readonly logger: Logger;
  /** Node's own metrics too; for the only agent of a process. */
  readonly processMetrics: boolean;
  /** In place of the one that asks the providers of the bundle. */
  readonly authorizer?: Authorizer;
  readonly clock?: Clock;
}
