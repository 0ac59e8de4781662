/*
 * `sallyport run DIR`: policies of a folder enforced in front of the upstreams it names, with no cluster. Out: on stderr the
 * agents and findings, again whenever they change; on stdout the access log. Ends with Ctrl-C.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { parsePolicyKey, workloadKey } from '../../api/kube/keys.ts';
import { RefusedError } from '../../errors.ts';
import type { AgentView, RunFinding, RunningDirectory } from '../../standalone/run-directory.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { createLogger, type LogLevel } from '../../telemetry/logger.ts';
import { type CommandContext, CommandFault, type CommandHost, type OutputStream } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK } from '../exit-codes.ts';
import { createLocator } from '../input/locate-field.ts';
import { readConfig } from '../input/read-config.ts';
import { systemReason } from '../input/system-reason.ts';
import { formatFindingTable, plural, type ReportedFinding, reportOnFile, reportOnObject, sortReports } from '../output/findings.ts';
import { type Cell, formatTable } from '../output/table.ts';

interface RunOptions {
  readonly config?: string;
  readonly state?: string;
  readonly logLevel: LogLevel;
  readonly accessLog: boolean;
}

/** Everything that is shown; printed anew when it differs. */
interface Status {
  readonly agents: readonly AgentView[];
  readonly policies: number;
  readonly findings: readonly RunFinding[];
}

/** How often the status is looked at; it is printed when it changed and was the same twice. */
const LOOK_MS = 200;
const STDERR_FD = 2;

export function addRunCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('run')
    .summary('enforce the policies of a folder, without a cluster')
    .description(
      'Watches a folder of manifests, runs an agent for each workload with the annotation sallyport.dev/upstream, and enforces the policies of the folder as they are saved. Status and logs go to stderr, access log lines to stdout.',
    )
    .argument('<dir>', 'folder of manifests')
    .option('--config <file>', 'configuration of the controller: root namespace, extension providers, path normalization')
    .option('--state <dir>', 'folder for bundles (default: a temporary one)')
    .addOption(
      new Option('--log-level <level>', 'lowest level of log lines').choices(['debug', 'info', 'warn', 'error', 'silent']).default('warn'),
    )
    .option('--no-access-log', 'write no line per request to stdout')
    .action(async (directory: string, options: RunOptions) => {
      const { mesh } = await readConfig(options.config, context);
      const { runDirectory } = await import('../../standalone/run-directory.ts');
      const folder = resolve(context.cwd, directory);
      const running = await runDirectory(
        {
          directory: folder,
          ...(options.state === undefined ? {} : { stateDirectory: resolve(context.cwd, options.state) }),
          mesh,
          logger: createLogger({ level: options.logLevel, component: 'sallyport', fd: STDERR_FD }),
          accessLog: options.accessLog,
        },
        context.signal,
      ).catch((error: unknown) => {
        throw startFault(directory, error);
      });
      await Promise.race([showChanges(running, { directory, folder }, context), running.stopped]);
      await running.stopped;
      finish(EXIT_OK);
    });
}

/** Each fault in a line of its own, with the folder it is in. */
function startFault(directory: string, error: unknown): CommandFault {
  const lines = systemReason(error)
    .split('\n')
    .map((line) => `${directory}: ${line}`);
  return new CommandFault(error instanceof RefusedError ? EXIT_FINDINGS : EXIT_BAD_DATA, lines.join('\nsallyport: '), { cause: error });
}

async function showChanges(
  running: RunningDirectory,
  place: { readonly directory: string; readonly folder: string },
  { stderr, signal }: CommandContext,
): Promise<void> {
  let shown = '';
  let before: string | undefined;
  while (!signal.aborted) {
    const status: Status = { agents: running.agents(), policies: running.policies(), findings: running.findings() };
    const text = JSON.stringify(status);
    // The first status is shown at once: agents are ready by then.
    if (text !== shown && (before === undefined || text === before)) {
      shown = text;
      stderr.write(formatStatus(status, await reportFindings(status.findings, place), stderr));
    }
    before = text;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

function formatStatus({ agents, policies }: Status, findings: readonly ReportedFinding[], stream: OutputStream): string {
  const rows = agents.map((agent): readonly Cell[] => [
    workloadKey(agent.workload),
    agent.listen === undefined ? '-' : `http://${hostPort(agent.listen)}`,
    hostPort(agent.upstream),
    agent.digest?.slice('sha256:'.length, 'sha256:'.length + 12) ?? '-',
    stateOf(agent),
  ]);
  const table =
    rows.length === 0
      ? 'no workload has the annotation sallyport.dev/upstream: nothing listens\n'
      : formatTable(['WORKLOAD', 'LISTENS ON', 'UPSTREAM', 'BUNDLE', 'STATE'], rows, stream);
  return `${table}policies in force: ${policies}; ${plural(findings.length, 'finding')}\n${formatFindingTable(findings, stream)}\n`;
}

function stateOf(agent: AgentView): Cell {
  if (agent.problem !== undefined) return { text: agent.problem, style: 'red' };
  return agent.digest === undefined ? { text: 'closed: no bundle yet', style: 'yellow' } : { text: 'enforcing', style: 'green' };
}

function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

async function reportFindings(
  findings: readonly RunFinding[],
  { directory, folder }: { readonly directory: string; readonly folder: string },
): Promise<readonly ReportedFinding[]> {
  const textByFile = new Map<string, string>();
  for (const { origin } of findings) {
    if (origin === undefined || textByFile.has(join(directory, origin.file))) continue;
    // The file may be gone or half written by now; the object's line is still right enough.
    const text = await readFile(join(folder, origin.file), 'utf8').catch(() => undefined);
    if (text !== undefined) textByFile.set(join(directory, origin.file), text);
  }
  const locate = createLocator(textByFile);
  const reports = findings.map((finding): ReportedFinding => {
    const { origin } = finding;
    if (origin === undefined) return reportOnFile(finding, { file: directory, line: 1 });
    const shown = { file: join(directory, origin.file), line: origin.line };
    const { kind, namespace, name } = parsePolicyKey(finding.policy);
    if (name === '') return reportOnFile(finding, shown);
    const item: ManifestObject = { object: { apiVersion: '', kind, metadata: { name, namespace } }, origin: shown };
    return reportOnObject(finding, item, locate);
  });
  return sortReports(reports);
}
