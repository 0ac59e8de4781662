/*
 * `sallyport inject -f FILE`: adds the agent to the pods of manifests, for clusters without the webhook. Findings go to stderr;
 * on an error nothing is printed to stdout, so that a pipe into kubectl never applies half of the input.
 */
import { type Command, Option } from 'commander';
import { CAPTURE_MODES, type CaptureMode } from '../../api/kube/agent-contract.ts';
import { initImageOf } from '../../api/kube/agent-image.ts';
import { trustDomainsOf } from '../../api/mesh-config.ts';
import { formatTrustAnchor } from '../../bundle/trust-anchor.ts';
import { injectionConfigOf } from '../../config/injection.ts';
import { RefusedError } from '../../errors.ts';
import { type InjectionFinding, injectManifest, readObjects } from '../../inject/inject-manifest.ts';
import type { InjectionSettings } from '../../inject/settings.ts';
import { VERSION } from '../../version.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK, EXIT_USAGE } from '../context/exit-codes.ts';
import { errorReason } from '../input/error-reason.ts';
import { readConfig } from '../input/read-config.ts';
import { readInput } from '../input/read-file.ts';
import { readTrustAnchor } from '../input/read-trust-anchor.ts';
import { plural } from '../output/plural.ts';
import { printable } from '../terminal/printable.ts';
import { writeDocument, writeMessage, writeText } from '../terminal/writers.ts';

/** The agent image if neither flag, environment nor configuration names one: the default of the Helm chart. */
export const DEFAULT_AGENT_IMAGE: string = `registry.invalid/sallyport/agent:${VERSION}`;

interface InjectOptions {
  readonly filename: readonly string[];
  readonly trustAnchor: string;
  readonly config?: string;
  readonly image?: string;
  readonly initImage?: string;
  readonly captureMode?: CaptureMode;
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  readonly agentLogLevel?: string;
  readonly agentLogFormat?: string;
}

/** Adds `inject` to the program. */
export function addInjectCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('inject')
    .summary('add the agent to manifests')
    .description(
      'Prints manifests with an agent in each pod template, as the webhook would add it. Order, comments and all other objects stay unchanged.',
    )
    .requiredOption('-f, --filename <file...>', 'manifests; - for standard input')
    .requiredOption('--trust-anchor <file>', 'what agents trust: the output of `sallyport keys show --anchor`')
    .option('--config <file>', 'controller configuration; its webhook section describes agents')
    .option('--image <image>', `image of the agent (default: the one in the configuration, else ${DEFAULT_AGENT_IMAGE})`)
    .option('--init-image <image>', 'image of the init container (default: that of the agent with the name redirect instead of agent)')
    .addOption(
      new Option(
        '--capture-mode <mode>',
        'who redirects connections: the init container, or a DaemonSet (default: the configuration, else pod)',
      ).choices([...CAPTURE_MODES]),
    )
    .addOption(new Option('--image-pull-policy <policy>', 'image pull policy of both').choices(['Always', 'IfNotPresent', 'Never']))
    .addOption(new Option('--agent-log-level <level>', 'log level of the agent').choices(['debug', 'info', 'warn', 'error']))
    .addOption(new Option('--agent-log-format <format>', 'form of the log lines of the agent').choices(['json', 'text']))
    .action(async (options: InjectOptions) => finish(await inject(options, context)));
}

async function inject(options: InjectOptions, context: CommandContext): Promise<number> {
  const settings = await readSettings(options, context);
  const texts: string[] = [];
  const lines: string[] = [];
  let errors = 0;
  let injected = 0;
  const files: { readonly file: string; readonly text: string; readonly objects: ReturnType<typeof readObjects> }[] = [];
  for (const file of options.filename) {
    const text = await readManifest(file, context);
    files.push({ file, text, objects: readText(file, () => readObjects(text)) });
  }
  for (const { file, text } of files) {
    // Services may be in other files than the pods that they lead to.
    const others = files.flatMap((other) => (other.file === file ? [] : other.objects));
    const result = readText(file, () => injectManifest(text, settings, others));
    texts.push(result.text.endsWith('\n') ? result.text : `${result.text}\n`);
    lines.push(...result.findings.map((finding) => formatLine(file, finding)));
    errors += result.findings.filter((finding) => finding.severity === 'error').length;
    injected += result.injected.length;
  }
  for (const line of lines) writeText(context.stderr, `${line}\n`);
  if (errors > 0) {
    writeMessage(context.stderr, `nothing printed: ${plural(errors, 'error')}`);
    return EXIT_FINDINGS;
  }
  writeDocument(context.stdout, joinDocuments(texts));
  if (injected === 0) writeMessage(context.stderr, 'no agent was added to any pod template');
  return EXIT_OK;
}

/** Flags take precedence over the environment, and that over the configuration, so that command and webhook make the same pods. */
async function readSettings(options: InjectOptions, context: CommandContext): Promise<InjectionSettings> {
  const { webhook, mesh } = await readConfig(options.config, context);
  const configuredImage = options.image ?? context.env['SALLYPORT_AGENT_IMAGE'] ?? webhook.agentImage;
  const image = configuredImage === '' ? DEFAULT_AGENT_IMAGE : configuredImage;
  const initImage = options.initImage ?? context.env['SALLYPORT_INIT_IMAGE'] ?? webhook.initImage ?? initImageOf(image);
  if (initImage === undefined) {
    throw new CommandError(
      EXIT_USAGE,
      `--init-image is required: it cannot be derived from "${image}", which has a digest or another name than agent`,
    );
  }
  const pullPolicy = options.imagePullPolicy ?? (options.config === undefined ? undefined : webhook.agentImagePullPolicy);
  const { imagePullPolicy: _default, ...configured } = injectionConfigOf(webhook);
  return {
    ...configured,
    trustDomains: trustDomainsOf(mesh),
    image,
    initImage,
    version: VERSION,
    trust: { anchor: formatTrustAnchor(await readTrustAnchor(options.trustAnchor, context)), floor: 0 },
    ...(options.captureMode === undefined ? {} : { captureMode: options.captureMode }),
    ...(pullPolicy === undefined ? {} : { imagePullPolicy: pullPolicy }),
    ...(options.agentLogLevel === undefined ? {} : { logLevel: options.agentLogLevel }),
    ...(options.agentLogFormat === undefined ? {} : { logFormat: options.agentLogFormat }),
  };
}

async function readManifest(file: string, context: CommandContext): Promise<string> {
  try {
    return await readInput(file, context);
  } catch (error) {
    throw new CommandError(EXIT_BAD_DATA, `${file}: cannot be read: ${errorReason(error)}`, { cause: error });
  }
}

/** The result of `read`; its refusal of the file ends the command. */
function readText<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RefusedError) throw new CommandError(EXIT_BAD_DATA, `${file}: ${error.message}`, { cause: error });
    throw error;
  }
}

function formatLine(file: string, finding: InjectionFinding): string {
  const hint = finding.hint === undefined ? '' : ` (${finding.hint})`;
  const place = [file, finding.severity, finding.object, finding.path].filter((part) => part !== '').join(': ');
  return printable(`${place}: ${finding.message}${hint} [${finding.code}]`);
}

/** One stream of YAML documents from the texts of several files. */
function joinDocuments(texts: readonly string[]): string {
  return texts.map((text, at) => (at === 0 || text.startsWith('---') ? text : `---\n${text}`)).join('');
}
