/*
 * One built agent in the namespace of the recorder, behind the redirect of its slot: the bundle that it enforces, and its access log.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUNDLE_DIGEST_KEY } from '../../../src/api/kube/names.ts';
import type { Bundle } from '../../../src/bundle/bundle.ts';
import { agentCommand } from '../../support/agent-flags.ts';
import { until } from '../../support/fake-clock.ts';
import { filesOf, mountVolume } from '../../unit/agent/bundles.ts';
import { AGENT_GROUP, type Slot } from './redirect.ts';

const CLOCK = new URL('set-clock.mjs', import.meta.url).pathname;
const START_MS = 60_000;
const ACTIVE_MS = 30_000;
/** The oracle may run at the lowest priority on a busy machine. */
const LINE_MS = 60_000;
const POLL_MS = 2;

/** What an agent needs besides its slot. */
export interface AgentSettings {
  /** The agent's built file. */
  readonly entry: string;
  /** For the bundle. */
  readonly directory: string;
  /** As in `SALLYPORT_APP_PROTOCOLS`. */
  readonly protocols: string;
  /** PEM files of the agent's certificate and of the authority of its clients, in one directory. */
  readonly tls: { readonly directory: string; readonly certificate: string; readonly key: string; readonly trustBundle: string };
  readonly trustDomains: readonly string[];
  /** The agent has the clock that {@link AgentProcess.setClock} sets, instead of the system's. */
  readonly hasOwnClock: boolean;
}

/** A line of the access log. */
export interface AgentLine {
  readonly message: 'request' | 'connection';
  readonly decision: string;
  readonly details: string;
  readonly 'http.response.status_code'?: number;
  readonly 'server.port': number;
  readonly 'client.address': string;
  /** When it ended. */
  readonly time: string;
  readonly duration_ms: number;
  readonly 'dry_run.allow'?: boolean;
  readonly 'dry_run.deny'?: boolean;
}

/** A running agent. */
export class AgentProcess {
  readonly slot: Slot;
  readonly #settings: AgentSettings;
  readonly #child: ChildProcess;
  readonly #lines: AgentLine[] = [];
  /** Digests of bundles that became active, and everything else that is no access log. */
  readonly #log: string[] = [];
  #active = '';
  /** What the agent's clock is ahead of the system's. */
  #shiftMs = 0;

  private constructor(slot: Slot, settings: AgentSettings) {
    this.slot = slot;
    this.#settings = settings;
    const { tls, trustDomains, hasOwnClock } = settings;
    const command = [...agentCommand(), ...(hasOwnClock ? ['--import', CLOCK] : []), settings.entry];
    this.#child = spawn('setpriv', ['--regid', String(AGENT_GROUP), '--clear-groups', ...command], {
      env: {
        PATH: process.env['PATH'] ?? '',
        SALLYPORT_CAPTURE_PORT: String(slot.capturePort),
        SALLYPORT_ADMIN_PORT: String(slot.adminPort),
        SALLYPORT_BUNDLE_DIR: settings.directory,
        SALLYPORT_APP_PROTOCOLS: settings.protocols,
        SALLYPORT_TLS: JSON.stringify({ mode: 'permissive', trustDomains, ...tls }),
        SALLYPORT_DRAIN_SECONDS: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe', ...(hasOwnClock ? (['ipc'] as const) : [])],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
  }

  /** Starts an agent that enforces `bundle`; resolves when it is ready. */
  static async start(slot: Slot, settings: AgentSettings, bundle: Bundle): Promise<AgentProcess> {
    mkdirSync(settings.directory, { recursive: true });
    const agent = new AgentProcess(slot, settings);
    await agent.enforce(bundle);
    const isReady = async (): Promise<boolean> => {
      agent.#assertRunning();
      return (await fetch(`http://127.0.0.1:${slot.adminPort}/readyz`).catch(() => undefined))?.status === 200;
    };
    await until(isReady, 'the agent to be ready', START_MS);
    return agent;
  }

  /** Mounts `bundle`, and resolves when it is active. */
  async enforce(bundle: Bundle): Promise<void> {
    const files = filesOf(bundle);
    const digest = files[BUNDLE_DIGEST_KEY] ?? '';
    if (digest === this.#active) return;
    const logged = this.#log.length;
    await mountVolume(this.#settings.directory, files);
    const isActive = (): boolean => {
      this.#assertRunning();
      const since = this.#log.slice(logged);
      // An agent that reads while the volume changes reads again.
      const rejected = since.find((line) => line.includes('bundle rejected') && !line.includes('SP_BUNDLE_UNREADABLE'));
      if (rejected !== undefined) throw new Error(rejected);
      return since.some((line) => line.includes('"policy active"') && line.includes(digest));
    };
    await until(isActive, 'the bundle to be active', ACTIVE_MS);
    this.#active = digest;
  }

  /** Sets the agent's clock. */
  async setClock(nowMs: number): Promise<void> {
    // By another clock the times of earlier lines mean nothing.
    this.#lines.length = 0;
    const isSet = once(this.#child, 'message');
    this.#child.send(nowMs);
    await isSet;
    this.#shiftMs = nowMs - Date.now();
  }

  /**
   * The first line of `client` that `isWanted`, of what began after `sinceMs`: an earlier request may have a late line, or several.
   * @throws Error when it does not come in time
   */
  async line(client: string, sinceMs: number, isWanted: (line: AgentLine) => boolean): Promise<AgentLine> {
    const began = performance.now();
    for (;;) {
      while (this.#lines[0] !== undefined && beganAt(this.#lines[0]) < sinceMs + this.#shiftMs - ROUNDING_MS) this.#lines.shift();
      const found = this.#lines.find((line) => line['client.address'] === client && isWanted(line));
      if (found !== undefined) {
        this.#lines.splice(this.#lines.indexOf(found), 1);
        return found;
      }
      this.#assertRunning();
      if (performance.now() - began > LINE_MS) throw new Error(`no such line in the agent's access log: ${JSON.stringify(this.#lines)}`);
      await sleep(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#settings.directory, { recursive: true, force: true });
  }

  #read(text: string): void {
    if (text.includes('"component":"access"')) this.#lines.push(JSON.parse(text) as AgentLine);
    else this.#log.push(text);
  }

  #assertRunning(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) return;
    throw new Error(`the agent ended: ${this.#log.slice(-5).join('\n')}`);
  }
}

/** The time has whole milliseconds, and a clock is set before or after it is read. */
const ROUNDING_MS = 3;

function beganAt({ time, duration_ms: duration }: AgentLine): number {
  return Date.parse(time) - duration;
}

/** Directory of the bundle of slot `index` below `work`. */
export function bundleDirectory(work: string, index: number): string {
  return join(work, `agent-${index}`);
}
