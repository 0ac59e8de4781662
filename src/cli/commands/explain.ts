/*
 * `sallyport explain`: why a request is let through or not, without a cluster and without sending it. In: policies or a
 * bundle, and a request. Out: the verdict, what decided, and how near every other rule came.
 */
import { type Command, Option } from 'commander';
import { BUNDLE_LABEL } from '../../api/kube/names.ts';
import { codecRefusal } from '../../explain/codec-refusal.ts';
import { explainRequest } from '../../explain/explain-request.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { type CommandContext, CommandFault, type CommandHost } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_OK, EXIT_USAGE } from '../exit-codes.ts';
import { checkWorkloadName, type PolicySet, parseLabels, policySetOf, policySetOfBundle, readKeySets } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { addRequestOptions, type RequestOptions, readRequestOptions, readRequired } from '../input/request-flags.ts';
import { explanationValue, formatExplanation, requestText } from '../output/explanation.ts';
import { formatFindingLine } from '../output/findings.ts';
import { formatStructured, type OutputFormat, outputOption } from '../output/structured.ts';

interface ExplainOptions extends RequestOptions {
  readonly config?: string;
  readonly bundle?: string;
  readonly workload?: string;
  readonly labels?: string;
  readonly jwks: readonly string[];
  readonly authorizer: 'allow' | 'deny';
  readonly at?: string;
  readonly output: OutputFormat;
}

export function addExplainCommand(program: Command, { context, finish }: CommandHost): void {
  const command = program
    .command('explain')
    .summary('say why a request is allowed or denied')
    .description(
      'Judges one request under the policies of files, or of a published bundle, exactly as an agent does, and tells what decided and the first clause that failed of every other rule, nearest miss first. Nothing is sent anywhere. The exit code is 0 whatever the verdict is.',
    )
    .argument('[path...]', 'files or folders of manifests, - for standard input; and the URL of the request, if --url does not say it')
    .option('--config <file>', 'configuration of the controller: root namespace, extension providers, path normalization')
    .option('--bundle <file>', 'a bundle instead of manifests: of `compile -o json`, or a ConfigMap as kubectl prints it')
    .option('--workload <namespace/name>', 'the workload that gets the request (default: the only one)')
    .option('--labels <k=v,...>', 'labels of its pod (default: as its manifest says); a workload with labels needs no manifest')
    .addOption(
      new Option('--jwks <file>', 'keys of rules that have none inline; `ISSUER=FILE`: of one issuer; may be repeated')
        .argParser((file: string, before: readonly string[]) => [...before, file])
        .default([], 'none'),
    )
    .addOption(
      new Option('--authorizer <answer>', 'what external authorizers are taken to answer').choices(['allow', 'deny']).default('allow'),
    )
    .option('--at <time>', 'the time to judge at, e.g. 2026-01-31T12:00:00Z (default: now)');
  addRequestOptions(command)
    .addOption(outputOption())
    .action(async (given: string[], typed: ExplainOptions) => {
      const { paths, options } = withUrlArgument(given, typed);
      const set = await readPolicies(paths, options, context);
      const workload = chooseWorkload(set, options.workload);
      const { namespace, name } = checkWorkloadName(workload);
      const labels = options.labels === undefined ? undefined : parseLabels(options.labels);
      const target = set.target(workload, labels);
      const caveats: string[] = [...target.caveats];
      const podPort = (host: string, port: number): number | undefined => {
        const found = set.servicePort(target, host, port);
        if (found !== undefined && found.port !== port)
          caveats.push(
            `port ${port} of Service ${found.service} leads to port ${found.port} of the pod, which is the one that policies see`,
          );
        return found?.port;
      };
      const read = await readRequestOptions(options, { host: `${name}.${namespace}`, podPort }, context);
      const nowSeconds = readTime(options.at);
      const explained =
        read.kind === 'reply' ? codecRefusal(read) : explainRequest(target, read.request, nowSeconds, { authorizer: options.authorizer });
      const explanation = { ...explained, caveats: [...caveats, ...explained.caveats] };
      const request = read.kind === 'reply' ? 'a malformed request' : requestText(read.request);
      const shown = { workload, request, explanation, notApplied: set.notApplied(target), locate: set.locate };
      context.stdout.write(
        options.output === 'table' ? formatExplanation(shown, context.stdout) : formatStructured(explanationValue(shown), options.output),
      );
      finish(EXIT_OK);
    });
}

/** A URL among the paths is the request's, as with curl. */
function withUrlArgument(
  given: readonly string[],
  options: ExplainOptions,
): { readonly paths: readonly string[]; readonly options: ExplainOptions } {
  const [url, ...more] = given.filter((path) => /^https?:\/\//.test(path));
  if (url === undefined) return { paths: given, options };
  if (options.url !== undefined || more.length > 0) throw new CommandFault(EXIT_USAGE, `one URL is judged at a time; there is also ${url}`);
  return { paths: given.filter((path) => path !== url), options: { ...options, url } };
}

async function readPolicies(paths: readonly string[], options: ExplainOptions, context: CommandContext): Promise<PolicySet> {
  if ((options.bundle === undefined) === (paths.length === 0)) {
    throw new CommandFault(EXIT_USAGE, 'give policies once: as paths, or by --bundle');
  }
  if (options.bundle !== undefined) return policySetOfBundle(await readRequired(options.bundle, context), options.bundle);
  const { mesh } = await readConfig(options.config, context);
  const manifests = await readManifests(paths, context);
  const set = policySetOf(manifests, mesh, await readKeySets(options.jwks, context));
  for (const finding of set.findings) context.stderr.write(`${formatFindingLine(finding)}\n`);
  const bundle = manifests.objects.find(({ object }) => isBundle(object));
  if (bundle !== undefined && set.workloads.length === 0) {
    throw new CommandFault(EXIT_USAGE, `${bundle.origin.file} holds a bundle: give it by --bundle`);
  }
  if (!manifests.isComplete) throw new CommandFault(EXIT_BAD_DATA, 'not every file could be read, so nothing is said of the request');
  return set;
}

function isBundle({ kind, metadata: { labels } }: ManifestObject['object']): boolean {
  return kind === 'ConfigMap' && Object.hasOwn(labels ?? {}, BUNDLE_LABEL);
}

function chooseWorkload({ workloads }: PolicySet, wanted: string | undefined): string {
  if (wanted !== undefined) return wanted;
  const [only] = workloads;
  if (only !== undefined && workloads.length === 1) return only;
  const known = workloads.length === 0 ? 'none' : workloads.join(', ');
  throw new CommandFault(EXIT_USAGE, `name a workload with --workload; known: ${known}`);
}

/** Whole Unix seconds. @throws CommandFault */
export function readTime(text: string | undefined): number {
  const ms = text === undefined ? Date.now() : Date.parse(text);
  if (Number.isNaN(ms)) throw new CommandFault(EXIT_USAGE, `no time: ${text}; write it as 2026-01-31T12:00:00Z`);
  return Math.floor(ms / 1000);
}
