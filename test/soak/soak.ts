/*
 * The soak test: two agents under good and hostile clients while bundles change every second, and while one agent, the application, the
 * controller and the API server are killed in turn. The other agent lives from beginning to end, and is measured.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildAgent } from '../bench/support/agent-build.ts';
import { freePorts } from '../cluster/wait.ts';
import { until } from '../support/fake-clock.ts';
import { BROKEN_DIGEST, Control, type Volume } from './control.ts';
import { GoodClients } from './good-clients.ts';
import { HostileClients } from './hostile-clients.ts';
import { type AgentProgram, agentProgram, applicationProgram, type Program } from './programs.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const GOOD_CLIENTS = 4;
const CONNECTIONS_GAUGE = 'sallyport_agent_connections';
/** Time after a restart during which connections may still fail. */
const RECOVERY_MS = 3000;
const WINDOW_SECONDS = 5;
/** A version was removed from the volume while the agent read it; the agent keeps the bundle before it and reads the next one. */
const REPLACED_WHILE_READ = 'SP_BUNDLE_UNREADABLE';
const QUIET_MS = 15_000;
const LOG_MS = 1000;
/** One a second, but for those that a kill of the controller or the API server delays. */
const RELOADS_PER_SECOND = 0.95;
const MOST_TIMES_LONGER = 5;
const NO_RELOADS = { controller: 0, test: 0 };

/** How long, and what is reported on the way. */
export interface SoakOptions {
  readonly seconds: number;
  /** Memory is compared from here on. */
  readonly warmUpSeconds: number;
  readonly killEverySeconds: number;
  readonly progress: (line: string) => void;
}

/** What a run found. */
export interface SoakReport {
  readonly seconds: number;
  readonly requests: number;
  readonly checkedByLog: number;
  readonly wrong: readonly string[];
  readonly failures: number;
  readonly unexplained: readonly string[];
  readonly reloads: { readonly controller: number; readonly test: number };
  readonly kills: Readonly<Record<string, number>>;
  readonly hostile: Readonly<Record<string, number>>;
  /** Medians of the agent that lived, in MiB. */
  readonly rss: { readonly before: number; readonly after: number; readonly highest: number };
  /** Of the agent that lived: without clients, before and after. */
  readonly descriptors: { readonly before: number; readonly after: number };
  readonly connectionsLeft: number;
  /** Crash reports, unexpected exits, log lines of failures. */
  readonly surprises: readonly string[];
}

interface Side {
  readonly agent: AgentProgram;
  readonly volume: Volume;
  readonly good: GoodClients;
  readonly hostile: HostileClients;
}

interface AccessLine {
  readonly component?: string;
  readonly request_id?: string;
  readonly digest?: string;
}

function parseLine(text: string): AccessLine | undefined {
  try {
    return JSON.parse(text) as AccessLine;
  } catch {
    return undefined;
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Runs the test. @throws Error when a part does not start, or does not return to rest in time */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-soak-'));
  const stage = new Stage(directory, options);
  try {
    return await stage.run();
  } finally {
    await stage.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

class Stage {
  readonly #directory: string;
  readonly #options: SoakOptions;
  readonly #kills: Record<string, number> = { agent: 0, application: 0, controller: 0, 'API server': 0, 'agent with a broken volume': 0 };
  readonly #surprises: string[] = [];
  readonly #rss: number[] = [];
  #sides: readonly Side[] = [];
  #application: Program | undefined;
  #control: Control | undefined;
  #disturbedUntilMs = 0;

  constructor(directory: string, options: SoakOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  async run(): Promise<SoakReport> {
    const { seconds, progress } = this.#options;
    await this.#start();
    const [survivor] = this.#sides as readonly [Side, Side];
    const before = survivor.agent.descriptors();
    await this.#application?.start();
    progress(`${seconds} s: good and hostile clients on two agents`);
    const control = this.#control;
    const work = [
      ...(control === undefined ? [] : [control.run()]),
      ...this.#sides.flatMap(({ good, hostile }) => [good.run(GOOD_CLIENTS), hostile.run()]),
    ];
    const beganMs = performance.now();
    // On a busy machine the first round of kills and as many reloads may take longer.
    const isOver = (): boolean => {
      const passed = (performance.now() - beganMs) / 1000;
      if (passed <= seconds || passed > MOST_TIMES_LONGER * seconds) return passed > seconds;
      const { controller, test } = this.#control?.reloads ?? NO_RELOADS;
      return controller + test >= seconds * RELOADS_PER_SECOND && Object.values(this.#kills).every((count) => count > 0);
    };
    await Promise.all([this.#measure(isOver), this.#disturb(isOver)]);
    this.#control?.stop();
    for (const { good, hostile } of this.#sides) {
      good.stop();
      hostile.stop();
    }
    await Promise.all(work);
    await this.#application?.end('SIGKILL');
    const after = await this.#rest(survivor, before);
    await sleep(LOG_MS);
    for (const { good } of this.#sides) good.finish();
    return this.#report({ before, ...after });
  }

  async close(): Promise<void> {
    await Promise.all(this.#sides.map(({ agent }) => agent.program.end('SIGKILL')));
    await this.#application?.end('SIGKILL');
    await this.#control?.close();
  }

  async #start(): Promise<void> {
    const [appPort = 0, ...ports] = await freePorts(5);
    const entry = join(this.#directory, 'agent.mjs');
    await buildAgent(ROOT, entry);
    this.#application = applicationProgram(appPort);
    this.#sides = ['survivor', 'victim'].map((name, at) => this.#side(name, entry, [ports[at * 2] ?? 0, ports[at * 2 + 1] ?? 0, appPort]));
    this.#control = await Control.start(this.#sides.map(({ volume }) => volume));
    await Promise.all(this.#sides.map(({ agent }) => agent.program.start()));
  }

  #side(name: string, entry: string, [port, adminPort, appPort]: readonly [number, number, number]): Side {
    const directory = join(this.#directory, name);
    const volume: Volume = { directory, versions: { confirmed: 0, mounted: 0 }, broken: false };
    const good = new GoodClients(name, port, volume.versions, () => performance.now() < this.#disturbedUntilMs);
    const onLine = (line: string): void => this.#onLine(line, good);
    const agent = agentProgram({ name, entry, port, adminPort, appPort, directory, onLine });
    return { agent, volume, good, hostile: new HostileClients(port) };
  }

  #onLine(text: string, good: GoodClients): void {
    if (!text.startsWith('{')) {
      this.#surprises.push(text);
      return;
    }
    const line = parseLine(text);
    // The last line of an agent that was killed.
    if (line === undefined) return;
    if (line.component !== 'access') {
      const isExpected = text.includes(BROKEN_DIGEST) || text.includes(REPLACED_WHILE_READ);
      if (/unhandled|uncaught|"level":"fatal"/i.test(text) || (/"level":"error"/.test(text) && !isExpected)) this.#surprises.push(text);
      return;
    }
    const version = this.#control?.versionOf(line.digest ?? '');
    if (version !== undefined) good.onLogged(line.request_id ?? '', version);
  }

  async #measure(isOver: () => boolean): Promise<void> {
    const { progress } = this.#options;
    const [survivor] = this.#sides as readonly [Side, Side];
    for (let second = 1; !isOver(); second += 1) {
      await sleep(1000);
      this.#rss.push(survivor.agent.rssMiB());
      if (second % 10 !== 0) continue;
      const { answered, failures, wrong } = survivor.good.tally;
      progress(
        `${second} s: ${answered} answered by the agent that lives, ${failures} failed, ${wrong.length} wrong, RSS ${this.#rss.at(-1)?.toFixed(0)} MiB`,
      );
    }
  }

  async #disturb(isOver: () => boolean): Promise<void> {
    const [, victim] = this.#sides as readonly [Side, Side];
    const restart = async (program: Program | undefined): Promise<void> => {
      await program?.end('SIGKILL');
      await program?.start();
    };
    const turns: readonly (readonly [string, () => Promise<void> | undefined])[] = [
      ['agent', () => restart(victim.agent.program)],
      ['application', () => restart(this.#application)],
      ['controller', () => this.#control?.killController()],
      ['agent with a broken volume', () => this.#killWithBrokenVolume(victim)],
      ['API server', () => this.#control?.killApiServer()],
    ];
    for (let turn = 0; !isOver(); turn += 1) {
      for (let waited = 0; waited < this.#options.killEverySeconds * 10 && !isOver(); waited += 1) await sleep(100);
      const [name, kill] = turns[turn % turns.length] ?? ['', () => undefined];
      if (isOver() || name === '') return;
      this.#disturbedUntilMs = Number.POSITIVE_INFINITY;
      await kill();
      this.#disturbedUntilMs = performance.now() + RECOVERY_MS;
      this.#kills[name] = (this.#kills[name] ?? 0) + 1;
      this.#options.progress(`killed: ${name}`);
    }
  }

  /** The agent starts from the bundle that it kept. */
  async #killWithBrokenVolume({ agent, volume }: Side): Promise<void> {
    await this.#control?.setBroken(volume, true);
    await agent.program.end('SIGKILL');
    await agent.program.start();
    await sleep(RECOVERY_MS);
    await this.#control?.setBroken(volume, false);
  }

  /** What is left when all clients and the application are gone. */
  async #rest({ agent }: Side, before: number): Promise<{ readonly after: number; readonly connectionsLeft: number }> {
    const isResting = async (): Promise<boolean> => (await agent.gauge(CONNECTIONS_GAUGE)) === 0 && agent.descriptors() <= before;
    await until(isResting, 'connections and descriptors of the agent to return to what they were', QUIET_MS).catch((error: Error) =>
      this.#surprises.push(error.message),
    );
    return { after: agent.descriptors(), connectionsLeft: await agent.gauge(CONNECTIONS_GAUGE) };
  }

  #report(rest: { readonly before: number; readonly after: number; readonly connectionsLeft: number }): SoakReport {
    const tallies = this.#sides.map(({ good }) => good.tally);
    const sum = (key: 'answered' | 'checkedByLog' | 'failures'): number => tallies.reduce((total, tally) => total + tally[key], 0);
    const { warmUpSeconds, seconds } = this.#options;
    const hostile: Record<string, number> = {};
    for (const { hostile: clients } of this.#sides)
      for (const [name, count] of Object.entries(clients.counts)) hostile[name] = (hostile[name] ?? 0) + count;
    return {
      seconds,
      requests: sum('answered'),
      checkedByLog: sum('checkedByLog'),
      failures: sum('failures'),
      wrong: tallies.flatMap(({ wrong }) => wrong),
      unexplained: tallies.flatMap(({ unexplained }) => unexplained),
      reloads: this.#control?.reloads ?? NO_RELOADS,
      kills: this.#kills,
      hostile,
      rss: {
        before: median(this.#rss.slice(warmUpSeconds, warmUpSeconds + WINDOW_SECONDS)),
        after: median(this.#rss.slice(-WINDOW_SECONDS)),
        highest: Math.max(...this.#rss),
      },
      descriptors: { before: rest.before, after: rest.after },
      connectionsLeft: rest.connectionsLeft,
      surprises: [
        ...this.#surprises,
        ...this.#sides.flatMap(({ agent }) => agent.program.surprises),
        ...(this.#application?.surprises ?? []),
        ...(this.#control?.surprises ?? []),
      ],
    };
  }
}

/** The rows of the closing table. */
export function tableOf(report: SoakReport): readonly (readonly [string, string])[] {
  const counts = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ');
  const { rss, descriptors, reloads } = report;
  return [
    ['seconds', String(report.seconds)],
    ['requests of good clients', `${report.requests}, of which ${report.checkedByLog} by the version in the access log`],
    ['wrong verdicts', String(report.wrong.length)],
    ['failures while something was killed', String(report.failures - report.unexplained.length)],
    ['other failures', String(report.unexplained.length)],
    ['reloads', `${reloads.controller + reloads.test}, ${reloads.controller} through controller and API server`],
    ['kills', counts(report.kills)],
    ['hostile connections and tokens', counts(report.hostile)],
    [
      'RSS of the agent that lived, MiB',
      `${rss.before.toFixed(1)} then ${rss.after.toFixed(1)} (growth ${(rss.after - rss.before).toFixed(1)}, highest ${rss.highest.toFixed(1)})`,
    ],
    ['descriptors before and after', `${descriptors.before} and ${descriptors.after}`],
    ['connections left', String(report.connectionsLeft)],
    ['crashes and failures in logs', String(report.surprises.length)],
  ];
}

/** Everything that must not happen, in a run whose agent may grow by `growthMiB`. */
export function faultsOf(report: SoakReport, growthMiB: number): readonly string[] {
  const { rss, descriptors } = report;
  const growth = rss.after - rss.before;
  return [
    ...report.wrong.slice(0, 20).map((why) => `wrong verdict: ${why}`),
    ...report.unexplained.slice(0, 20).map((why) => `failed request: ${why}`),
    ...report.surprises.slice(0, 20).map((why) => `surprise: ${why}`),
    ...(growth > growthMiB ? [`the agent grew by ${growth.toFixed(1)} MiB, at most ${growthMiB}`] : []),
    ...(descriptors.after > descriptors.before ? [`${descriptors.after - descriptors.before} descriptors are left`] : []),
    ...(report.connectionsLeft > 0 ? [`${report.connectionsLeft} connections are left`] : []),
    ...(report.requests < report.seconds * 20 ? [`only ${report.requests} requests`] : []),
    ...(report.reloads.controller + report.reloads.test < report.seconds * RELOADS_PER_SECOND
      ? [`only ${report.reloads.controller + report.reloads.test} reloads`]
      : []),
    ...Object.entries(report.kills).flatMap(([name, count]) => (count === 0 ? [`never killed: ${name}`] : [])),
  ];
}
