/*
 * A pod with real servers behind the redirect of all ports, and clients outside of it. The agent is the built one; it can be started again for each
 * way in which it learns what a port speaks.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildProcess } from '../../scripts/build.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { agentCommand } from '../support/agent-flags.ts';
import { issue, newAuthority } from '../support/certificates.ts';
import { until } from '../support/fake-clock.ts';
import { APPLY_REDIRECT, createPodNetwork, POD_IPV4, type PodNetwork } from '../support/pod-network.ts';
import { filesOf, mountVolume } from '../unit/agent/bundles.ts';
import { type CommandResult, inView, runCommand, type View } from './debian-programs.ts';

/** The pod's second address, to which clients connect from {@link DENIED_CLIENT}. */
export const POD_FOR_DENIED = '10.98.0.3';
/** Source address of those connections. */
export const DENIED_CLIENT = '10.98.0.9';

const START_MS = 300_000;
const CAPTURE_PORT = '15006';
const ADMIN_PORT = '15020';

/** A line of the agent's access log. */
export type AccessRow = Readonly<Record<string, unknown>>;

/** PEM files of the servers' certificate, and of its authority. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
  readonly authority: string;
}

/** Where a server differs from others. */
export interface ServerOptions {
  /** What it sees; absent: the files of the packages. */
  readonly view?: View;
  /** Where it writes its log; absent: to standard output or standard error. */
  readonly logFile?: string;
}

/** The pod. */
export class ServerPod {
  /** For files of servers. */
  readonly directory: string;
  readonly certificate: ServerCertificate;
  /** Rows of the access log since the agent was started. */
  rows: AccessRow[] = [];
  readonly #network: PodNetwork;
  readonly #bundle: string;
  readonly #view: View;
  readonly #servers: ChildProcess[] = [];
  #agent: ChildProcess | undefined;

  private constructor(directory: string, network: PodNetwork, view: View) {
    this.directory = directory;
    this.#network = network;
    this.#view = view;
    this.#bundle = join(directory, 'bundle');
    const file = (name: string): string => join(directory, name);
    this.certificate = { cert: file('tls.crt'), key: file('tls.key'), authority: file('ca.crt') };
  }

  /** Makes the pod and builds the agent, which is not started. @param names of the servers' certificate */
  static async create(view: View, names: readonly string[], bundle: Bundle): Promise<ServerPod> {
    const directory = await mkdtemp(join(tmpdir(), 'sallyport-servers-'));
    const pod = new ServerPod(directory, await createPodNetwork(), view);
    try {
      await buildProcess('agent', directory);
      await mkdir(pod.#bundle);
      await mountVolume(pod.#bundle, filesOf(bundle));
      await pod.#writeCertificate(names);
      await pod.#addDeniedClient();
      const { script, inside } = pod.#network;
      await script(inside, APPLY_REDIRECT, '--all', CAPTURE_PORT, '--exclude', ADMIN_PORT);
      return pod;
    } catch (error) {
      await pod.close();
      throw error;
    }
  }

  /** Starts a server. Resolves when `isReady` is in what it has printed, or in its log file. */
  async startServer(command: readonly string[], isReady: RegExp, { view = this.#view, logFile }: ServerOptions = {}): Promise<void> {
    const [program = '', ...args] = this.#in(this.#network.inside, inView(view, command));
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#servers.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
    const isUp = async (): Promise<boolean> => {
      if (child.exitCode !== null) throw new Error(`${command.join(' ')} ended: ${output}`);
      return isReady.test(logFile === undefined ? output : await readFile(logFile, 'utf8').catch(() => ''));
    };
    await until(isUp, `${command[0] ?? ''} to be ready`, START_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${output.slice(-2000)}`, { cause: error });
    });
  }

  /** What programs see with the files of `etc` over those in `/etc`. */
  viewWith(etc: string): View {
    return { ...this.#view, etc };
  }

  /** Runs a command in the pod to its end. @throws Error when it fails */
  async prepare(command: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await runCommand(this.#in(this.#network.inside, inView(this.#view, command)), { input });
    if (code !== 0) throw new Error(`${command.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Runs a client outside of the pod to its end. */
  client(command: readonly string[], input?: string): Promise<CommandResult> {
    return runCommand(this.#in(this.#network.outside, inView(this.#view, command)), { input });
  }

  /** Starts the agent again. @param protocols as in `SALLYPORT_APP_PROTOCOLS` */
  async startAgent(protocols: string): Promise<void> {
    await end(this.#agent);
    this.rows = [];
    const rows = this.rows;
    const [program = '', ...args] = this.#in(this.#network.inside, [...agentCommand(), join(this.directory, 'agent.mjs')]);
    const child = spawn(program, args, {
      env: {
        PATH: process.env['PATH'] ?? '',
        POD_IP: POD_IPV4,
        POD_NAMESPACE: 'foo',
        SALLYPORT_WORKLOAD: 'httpbin',
        SALLYPORT_CAPTURE_PORT: CAPTURE_PORT,
        SALLYPORT_APP_PROTOCOLS: protocols,
        SALLYPORT_BUNDLE_DIR: this.#bundle,
        SALLYPORT_DRAIN_SECONDS: '0',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#agent = child;
    let isActive = false;
    let listens = false;
    createInterface({ input: child.stdout }).on('line', (line) => {
      isActive ||= line.includes('"policy active"');
      listens ||= line.includes('"agent listens"');
      if (line.includes('"component":"access"')) rows.push(JSON.parse(line) as AccessRow);
    });
    await until(() => isActive && listens, 'the agent', START_MS);
  }

  async close(): Promise<void> {
    await end(this.#agent);
    const { inside, outside } = this.#network;
    for (const namespace of [inside, outside]) {
      const { stdout } = await runCommand(['ip', 'netns', 'pids', namespace]);
      for (const pid of stdout.split('\n').filter(Boolean)) kill(Number(pid));
    }
    for (const server of this.#servers) await end(server);
    await this.#network.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #writeCertificate(dnsNames: readonly string[]): Promise<void> {
    const authority = await newAuthority('servers');
    const { certPem, keyPem } = await issue(authority, { subject: `CN=${dnsNames[0] ?? ''}`, dnsNames });
    const { cert, key, authority: ca } = this.certificate;
    await writePem(cert, certPem);
    await writePem(key, keyPem);
    await writePem(ca, authority.certPem);
  }

  async #addDeniedClient(): Promise<void> {
    const { execute, inside, outside } = this.#network;
    await execute(inside, 'ip', 'addr', 'add', `${POD_FOR_DENIED}/24`, 'dev', 'pod0');
    await execute(outside, 'ip', 'addr', 'add', `${DENIED_CLIENT}/24`, 'dev', 'peer0');
    await execute(outside, 'ip', 'route', 'add', `${POD_FOR_DENIED}/32`, 'dev', 'peer0', 'src', DENIED_CLIENT);
  }

  #in(namespace: string, command: readonly string[]): readonly string[] {
    return ['ip', 'netns', 'exec', namespace, ...command];
  }
}

async function writePem(path: string, pem: string): Promise<void> {
  // PostgreSQL refuses a key that others can read.
  await writeFile(path, pem, { mode: 0o600 });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
