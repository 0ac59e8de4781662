/*
 * What the suites know of a server: how it is started, what Services may say of its port, and which clients talk to it.
 */
import type { ServerPod } from './server-pod.ts';

/** A port of a Service that leads to the server. */
export interface ServicePortOf {
  /** Absent: that of the server. */
  readonly port?: number;
  readonly name?: string;
  readonly appProtocol?: string;
}

/** A client, and what it must print. */
export interface TestedClient {
  /** What it does, as in the table of docs/reference/protocols.md. */
  readonly name: string;
  /** The command that talks to a server at `host`. */
  readonly command: (host: string, pod: ServerPod) => readonly string[];
  readonly input?: string;
  /** In its standard output. */
  readonly prints: RegExp;
  /** Server name of its ClientHello, in the access log; absent: none. */
  readonly serverName?: string;
  /** It is denied from everywhere, by a rule on the server name. */
  readonly isDenied?: true;
}

/** A server and its clients. */
export interface TestedServer {
  readonly name: string;
  readonly port: number;
  /** By name of the Service's port. */
  readonly byName: ServicePortOf;
  /** By `appProtocol`, or by the number of the Service's port where Istio has one. */
  readonly byProtocol: ServicePortOf;
  /** Starts it; resolves when it accepts connections. */
  readonly start: (pod: ServerPod) => Promise<void>;
  readonly clients: readonly TestedClient[];
}
