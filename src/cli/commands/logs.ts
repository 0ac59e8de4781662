/*
 * `sallyport logs POD|WORKLOAD`: the access logs of the agents of a pod or of all pods of a workload.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { workloadKey } from '../../api/kube/keys.ts';
import type { SlimPod } from '../../api/kube/slim.ts';
import { RefusedError } from '../../errors.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_FAILURE, EXIT_OK } from '../context/exit-codes.ts';
import { integerParser } from '../input/common-options.ts';
import { type LogEntry, readAgentLog } from '../live/agent-log.ts';
import { addClusterOptions, type ClusterOptions } from '../live/cluster-options.ts';
import { ALWAYS, type LiveSession, withSession } from '../live/session.ts';
import { findTarget, requireTargetName } from '../live/target.ts';
import { formatEntries, formatEntry } from '../output/access-lines.ts';
import { plural } from '../output/plural.ts';
import { escapeSpecial } from '../terminal/printable.ts';
import { writeDocument, writeMessage, writeText } from '../terminal/writers.ts';

interface LogsOptions extends ClusterOptions {
  readonly denied?: boolean;
  readonly follow?: boolean;
  readonly since?: number;
  readonly tail: number;
  readonly output: 'table' | 'json';
}

const MAX_TAIL = 100_000;
/** Logs that are followed at the same time: each keeps a stream of the API server and of a kubelet open. */
const MAX_FOLLOWED = 50;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const LET_IN: ReadonlySet<unknown> = new Set(['allow', 'none']);

/** Adds `logs` to the program. */
export function addLogsCommand(program: Command, { context, finish }: CommandHost): void {
  addClusterOptions(program.command('logs'), 'namespace')
    .summary('show the access logs of agents')
    .description(
      'Shows the access log of the agent of a pod, or of all pods that a workload has now: the newest lines in the order of their time, or with --follow each line as it is written, of at most 50 pods, until SIGINT. -o json prints the lines as the agents wrote them, which `explain --log -` and `diff --requests -` read.',
    )
    .argument('<target>', 'POD or KIND/NAME, e.g. deployment/httpbin')
    .option('--denied', 'only requests that were refused')
    .option('-f, --follow', 'print lines as they are written')
    .addOption(new Option('--since <duration>', 'only lines of this time, e.g. 30s, 5m or 2h').argParser(parseDuration))
    .addOption(
      new Option('--tail <n>', 'number of lines, counted after --denied').argParser(integerParser(1, MAX_TAIL)).default(200, '200'),
    )
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .action(async (target: string, options: LogsOptions) => finish(await logs(target, options, context)));
}

async function logs(name: string, options: LogsOptions, context: CommandContext): Promise<number> {
  const wanted = requireTargetName(name);
  return withSession(options, context, async (session) => {
    const target = await findTarget(session, wanted);
    const guarded = target.pods.filter(({ agent }) => agent !== undefined);
    if (guarded.length === 0)
      throw new CommandError(EXIT_FAILURE, `no pod of ${workloadKey(target.workload)} has an agent, so there is no access log`);
    const bare = target.pods.length - guarded.length;
    if (bare > 0) writeMessage(context.stderr, `${plural(bare, 'pod')} without an agent`);
    const { follow = false } = options;
    if (follow && guarded.length > MAX_FOLLOWED) {
      throw new CommandError(
        EXIT_FAILURE,
        `${workloadKey(target.workload)} has ${guarded.length} pods with an agent, and --follow reads at most ${MAX_FOLLOWED} logs: name a pod, or leave out --follow`,
      );
    }
    if (follow) await followAll(guarded, options, { session, context });
    else await showNewest(guarded, options, { session, context });
    return EXIT_OK;
  });
}

interface Reading {
  readonly session: LiveSession;
  readonly context: CommandContext;
}

async function showNewest(pods: readonly SlimPod[], options: LogsOptions, { session, context }: Reading): Promise<void> {
  const newest: LogEntry[] = [];
  // One after the other: the API server streams each log from a kubelet.
  for (const pod of pods) {
    const range = { follow: false, sinceSeconds: options.since };
    await ifReadable(pod, context, async () => {
      for await (const entry of readAgentLog(session.client, pod, range, ALWAYS)) {
        if (!isWanted(entry, options)) continue;
        newest.push(entry);
        if (newest.length > 2 * options.tail) keepNewest(newest, options.tail);
      }
    });
  }
  keepNewest(newest, options.tail);
  if (options.output === 'table') writeText(context.stdout, formatEntries(newest, context.stdout));
  else for (const { text } of newest) writeLine(text, context);
  if (newest.length === 0) writeMessage(context.stderr, options.denied === true ? 'no request was refused' : 'no request was logged');
}

/** Sorts by time and drops the oldest. Times are ISO 8601 in UTC, so that they sort as text. */
function keepNewest(entries: LogEntry[], count: number): void {
  const timeOf = ({ fields }: LogEntry): string => String(fields['time']);
  entries.sort((one, other) => (timeOf(one) < timeOf(other) ? -1 : 1));
  entries.splice(0, entries.length - count);
}

async function followAll(pods: readonly SlimPod[], options: LogsOptions, { session, context }: Reading): Promise<void> {
  const stop = context.stopSignal();
  const range = { follow: true, sinceSeconds: options.since ?? 1 };
  await Promise.all(
    pods.map((pod) =>
      ifReadable(pod, context, async () => {
        for await (const entry of readAgentLog(session.client, pod, range, stop)) {
          if (!isWanted(entry, options)) continue;
          if (options.output === 'table') writeText(context.stdout, formatEntry(entry, context.stdout));
          else writeLine(entry.text, context);
        }
      }).catch((thrown: unknown) => {
        if (!stop.aborted) throw thrown;
      }),
    ),
  );
}

/** A pod that is starting, or gone by now, has no log; the others still have one. */
async function ifReadable({ name }: SlimPod, { stderr }: CommandContext, read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (thrown) {
    if (!(thrown instanceof RefusedError) || thrown.code === 'SP_KUBE_FORBIDDEN') throw thrown;
    writeMessage(stderr, `pod ${name}: ${thrown.sentence ?? thrown.message}`);
  }
}

function isWanted({ fields }: LogEntry, { denied }: LogsOptions): boolean {
  return denied !== true || !LET_IN.has(fields['decision']);
}

function writeLine(text: string, { stdout }: CommandContext): void {
  writeDocument(stdout, `${escapeSpecial(text, 'json')}\n`);
}

/** Seconds. */
function parseDuration(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  if (unit === '') throw new InvalidArgumentError('Expected a duration such as 30s, 5m or 2h.');
  return Number(digits) * (SECONDS[unit] ?? 1);
}
