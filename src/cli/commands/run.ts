/*
 * `sallyport run DIR`: enforces the policies of a directory in front of the upstreams that its workloads name, without a cluster.
 * Status and findings go to stderr whenever they change, the access log to stdout. Runs until Ctrl-C.
 */
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { parsePolicyKey, workloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { RefusedError } from '../../errors.ts';
import { readRegularFile } from '../../regular-file.ts';
import type { AgentView, RunFinding, RunningDirectory } from '../../standalone/run-directory.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { createLogger, type LogFormat, type LogLevel } from '../../telemetry/logger.ts';
import { type CommandContext, CommandError, type CommandHost, type OutputStream } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK } from '../context/exit-codes.ts';
import { checkManifests } from '../input/check-findings.ts';
import { configOption } from '../input/common-options.ts';
import { errorReason } from '../input/error-reason.ts';
import { createLocator } from '../input/locate-field.ts';
import { type LocatedFinding, locateInFile, locateInObject, sortFindings } from '../input/located-finding.ts';
import { noteUnused, readConfig } from '../input/read-config.ts';
import { MAX_FILE_BYTES } from '../input/read-file.ts';
import { readManifests } from '../input/read-manifests.ts';
import { applySuppressions, suppressionsOf } from '../input/suppressions.ts';
import { formatFindingTable } from '../output/findings.ts';
import { plural } from '../output/plural.ts';
import { type Cell, formatTable } from '../output/table.ts';
import { writeText } from '../terminal/writers.ts';

interface RunCommandOptions {
  readonly config?: string;
  readonly state?: string;
  readonly logLevel: LogLevel;
  readonly logFormat?: LogFormat;
  readonly accessLog: boolean;
}

/** Everything that is shown; printed again whenever it differs. */
interface RunStatus {
  readonly agents: readonly AgentView[];
  readonly policies: number;
  readonly findings: readonly RunFinding[];
  /** Number of snapshots of the directory so far: an edit may change findings of `check` alone. */
  readonly snapshots: number;
}

/** The directory as written on the command line, and as an absolute path. */
interface RunPlace {
  readonly directory: string;
  readonly path: string;
  readonly mesh: MeshConfig;
  readonly stop: AbortSignal;
}

/** How often the status is compared; a change is printed once it was the same twice in a row. */
const POLL_MS = 200;
const STDERR_FD = 2;
const DIGEST_PREFIX = 'sha256:';
const DIGEST_CHARACTERS = 12;

/** Adds `run` to the program. */
export function addRunCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('run')
    .summary('enforce the policies of a directory, without a cluster')
    .description(
      'Watches a directory of manifests, runs an agent for each workload with the annotation sallyport.dev/upstream, and enforces the policies of the directory as they are saved. Status and logs go to stderr, access log lines to stdout.',
    )
    .argument('<dir>', 'directory of manifests')
    .addOption(configOption())
    .option('--state <dir>', 'directory for bundles (default: a temporary one)')
    .addOption(
      new Option('--log-level <level>', 'lowest level of log lines').choices(['debug', 'info', 'warn', 'error', 'silent']).default('warn'),
    )
    .addOption(new Option('--log-format <format>', 'form of log lines (default: text on a terminal, else json)').choices(['json', 'text']))
    .option('--no-access-log', 'do not write a line per request to stdout')
    .action(async (directory: string, options: RunCommandOptions) => {
      const { mesh, jwks } = await readConfig(options.config, context);
      await noteUnused(options.config, context);
      const { runDirectory } = await import('../../standalone/run-directory.ts');
      const path = resolve(context.cwd, directory);
      const stop = context.stopSignal();
      const running = await runDirectory(
        {
          directory: path,
          ...(options.state === undefined ? {} : { stateDirectory: resolve(context.cwd, options.state) }),
          mesh,
          jwks,
          logger: createLogger({ level: options.logLevel, format: logFormatOf(options, context), component: 'sallyport', fd: STDERR_FD }),
          accessLog: options.accessLog,
        },
        stop,
      ).catch((error: unknown) => {
        throw startError(directory, error);
      });
      await Promise.race([showChanges(running, { directory, path, mesh, stop }, context), running.stopped]);
      await running.stopped;
      finish(EXIT_OK);
    });
}

function logFormatOf({ logFormat }: RunCommandOptions, { stderr }: CommandContext): LogFormat {
  return logFormat ?? (stderr.isTTY === true ? 'text' : 'json');
}

/** One line per cause, each with the directory. */
function startError(directory: string, error: unknown): CommandError {
  const lines = errorReason(error)
    .split('\n')
    .map((line) => `${directory}: ${line}`);
  return new CommandError(error instanceof RefusedError ? EXIT_FINDINGS : EXIT_BAD_DATA, lines, { cause: error });
}

async function showChanges(running: RunningDirectory, place: RunPlace, context: CommandContext): Promise<void> {
  const { stderr } = context;
  const { stop } = place;
  let shown = '';
  let before: string | undefined;
  while (!stop.aborted) {
    const status: RunStatus = {
      agents: running.agents(),
      policies: running.policies(),
      findings: running.findings(),
      snapshots: running.snapshots(),
    };
    const text = JSON.stringify(status);
    // The first status is printed immediately: agents are ready by then.
    if (text !== shown && (before === undefined || text === before)) {
      shown = text;
      writeText(stderr, formatStatus(status, await allFindings(status.findings, place, context), stderr));
    }
    before = text;
    await sleep(POLL_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

function formatStatus({ agents, policies }: RunStatus, findings: readonly LocatedFinding[], stream: OutputStream): string {
  const rows = agents.map((agent): readonly Cell[] => [
    workloadKey(agent.workload),
    agent.listen === undefined ? '-' : `http://${hostPort(agent.listen)}`,
    hostPort(agent.upstream),
    agent.digest?.slice(DIGEST_PREFIX.length, DIGEST_PREFIX.length + DIGEST_CHARACTERS) ?? '-',
    stateCell(agent),
  ]);
  const table =
    rows.length === 0
      ? 'no agent is running: no workload has the annotation sallyport.dev/upstream\n'
      : formatTable(['WORKLOAD', 'LISTENS ON', 'UPSTREAM', 'BUNDLE', 'STATE'], rows, stream);
  return `${table}active policies: ${policies}; ${plural(findings.length, 'finding')}\n${formatFindingTable(findings, stream)}\n`;
}

function stateCell(agent: AgentView): Cell {
  if (agent.problem !== undefined) return { text: agent.problem, style: 'red' };
  return agent.digest === undefined ? { text: 'closed: no bundle yet', style: 'yellow' } : { text: 'enforcing', style: 'green' };
}

function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What `sallyport check` says about the directory, and what only a running process knows, e.g. keys that cannot be fetched. */
async function allFindings(findings: readonly RunFinding[], place: RunPlace, context: CommandContext): Promise<readonly LocatedFinding[]> {
  const manifests = await readManifests([place.directory], context);
  const all = [...(await locateFindings(findings, place)), ...checkManifests(manifests, place.mesh).findings];
  return applySuppressions(sortFindings(all), suppressionsOf(manifests.objects)).findings;
}

async function locateFindings(findings: readonly RunFinding[], { directory, path }: RunPlace): Promise<readonly LocatedFinding[]> {
  const textByFile = new Map<string, string>();
  for (const { origin } of findings) {
    if (origin === undefined || textByFile.has(join(directory, origin.file))) continue;
    // The file may be deleted or half written by now; then the finding keeps the line of its object.
    const text = await readRegularFile(join(path, origin.file), MAX_FILE_BYTES).catch(() => undefined);
    if (text !== undefined) textByFile.set(join(directory, origin.file), text);
  }
  const locate = createLocator(textByFile);
  const located = findings.map((finding): LocatedFinding => {
    const { origin } = finding;
    if (origin === undefined) return locateInFile(finding, { file: directory, line: 1 });
    const shown = { file: join(directory, origin.file), line: origin.line };
    const { kind, namespace, name } = parsePolicyKey(finding.policy);
    if (name === '') return locateInFile(finding, shown);
    const item: ManifestObject = { object: { apiVersion: '', kind, metadata: { name, namespace } }, origin: shown };
    return locateInObject(finding, item, locate);
  });
  return sortFindings(located);
}
