/*
 * `sallyport explain`: shows why a request is allowed or denied, without a cluster and without sending the request.
 */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import { BUNDLE_LABEL } from '../../api/kube/names.ts';
import { explainCodecRejection } from '../../explain/codec-rejection.ts';
import type { Enforced } from '../../explain/evaluate-to-end.ts';
import { explainRequest } from '../../explain/explain-request.ts';
import type { GeneratedClaims, TokenPlace } from '../../explain/generate/generated-request.ts';
import { placesOf } from '../../explain/generate/solve-tokens.ts';
import { createTestKey } from '../../explain/test-key.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_OK, EXIT_USAGE } from '../context/exit-codes.ts';
import { policySetOfBundle } from '../input/bundle-policy-set.ts';
import { configOption, jwksOption, parseTime, timeOption } from '../input/common-options.ts';
import { curlNotes } from '../input/curl-options.ts';
import { readKeySets } from '../input/key-sets.ts';
import { withPodPort } from '../input/pod-port.ts';
import { type PolicySet, policySetOf } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { requireInput } from '../input/read-file.ts';
import { readManifests } from '../input/read-manifests.ts';
import { addRequestOptions, type RequestOptions, readClaims, readRequestOptions } from '../input/request-options.ts';
import type { ReadRequest, RequestSpec } from '../input/request-spec.ts';
import { parseLabels } from '../input/workload-argument.ts';
import { addClusterOptions, type ClusterOptions, namesCluster } from '../live/cluster-options.ts';
import { type LivePolicies, namesTarget, readLivePolicies } from '../live/live-policy-set.ts';
import { explanationValue, formatExplanation, type ShownExplanation } from '../output/explanation.ts';
import { writeFindingLines } from '../output/findings.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { requestText } from '../terminal/printable.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';
import { explainLogged, readRequestFile } from './explain-logged.ts';

interface ExplainOptions extends RequestOptions, ClusterOptions {
  readonly config?: string;
  readonly bundle?: string;
  readonly workload?: string;
  readonly labels?: string;
  readonly jwks: readonly string[];
  readonly authorizer: 'allow' | 'deny';
  readonly at?: string;
  readonly output: OutputFormat;
}

/** Adds `explain` to the program. */
export function addExplainCommand(program: Command, { context, finish }: CommandHost): void {
  const command = addClusterOptions(program.command('explain'), 'namespace')
    .summary('show why a request is allowed or denied')
    .description(
      'Evaluates one request under the policies in files, or in the bundle that is published for a pod or workload (POD or KIND/NAME), exactly as an agent does. Shows what decided and, for every other rule, each clause that failed; the rule with the fewest failing clauses comes first. Nothing is sent. The exit code is 0 for every verdict.',
    )
    .argument(
      '[path...]',
      'files or directories of manifests, - for standard input, or one pod or workload of the cluster; and the URL of the request, unless given with --url',
    )
    .addOption(configOption())
    .option('--bundle <file>', 'a bundle instead of manifests: the output of `compile -o json`, or a ConfigMap as kubectl prints it')
    .option('--workload <namespace/[kind/]name>', 'workload that receives the request (default: the only one)')
    .option('--labels <k=v,...>', 'labels of its pod (default: as in its manifest); a workload with labels needs no manifest')
    .addOption(jwksOption('keys of rules without inline keys'))
    .addOption(
      new Option('--authorizer <response>', 'assumed response of external authorizers').choices(['allow', 'deny']).default('allow'),
    )
    .addOption(timeOption());
  addRequestOptions(command)
    .addOption(outputOption().argParser((value) => outputFormat(value, command)))
    .action(async (args: string[], parsed: ExplainOptions) => {
      const { paths, options } = takeUrlArgument(args, parsed);
      const { set, labels } = await readPolicies(paths, options, context);
      const shown = await explain(set, labels, options, context);
      if (options.output === 'table') writeText(context.stdout, formatExplanation(shown, context.stdout));
      else writeDocument(context.stdout, formatDocument('Explanation', explanationValue(shown), options.output));
      finish(EXIT_OK);
    });
}

/** curl's -o names a file: it is noted like its other flags without effect. */
function outputFormat(value: string, command: Command): OutputFormat {
  if (value === 'table' || value === 'json' || value === 'yaml') return value;
  if (!/[./]/.test(value) && value !== '-') throw new InvalidArgumentError('Allowed choices are table, json, yaml.');
  const before = command.getOptionValue('ignored') as readonly string[] | undefined;
  command.setOptionValue('ignored', [...(before ?? []), `--output ${value}`]);
  return 'table';
}

/** @param known labels of the pod in the cluster; undefined: unknown */
async function explain(
  set: PolicySet,
  known: Labels | undefined,
  options: ExplainOptions,
  context: CommandContext,
): Promise<ShownExplanation> {
  const workload = chooseWorkload(set, options.workload);
  const target = set.target(workload, options.labels === undefined ? known : parseLabels(options.labels));
  writeFindingLines(set.compiledFindings(), context.stderr);
  const { namespace, name } = parseWorkloadKey(target.workload);
  const caveats: string[] = [...target.caveats];
  const placed = (request: ReadRequest, spec: RequestSpec): ReadRequest => {
    const { read, note } = withPodPort(request, spec, { set, target });
    if (note !== undefined) caveats.push(note);
    return read;
  };
  const input = await readRequestFile(options, target.program, context);
  const claims = options.claims === undefined ? input.token?.claims : await readClaims(options.claims, context);
  const signed = claims === undefined ? undefined : signClaims(claims, target, options);
  if (signed !== undefined) caveats.push(...signed.caveats);
  const defaults = {
    host: `${name}.${namespace}`,
    withPodPort: placed,
    ...input.defaults,
    ...(signed === undefined ? {} : { claimsToken: signed.token }),
  };
  const read = await readRequestOptions(options, defaults, context);
  caveats.push(...curlNotes(options));
  const enforced: Enforced = signed?.enforced ?? target;
  const nowSeconds = parseTime(options.at);
  const { authorizer } = options;
  const explained =
    read.kind === 'reply'
      ? explainCodecRejection(read)
      : explainLogged(
          input,
          { program: target.program, digest: set.digest, request: read.request, options },
          explainRequest(enforced, read.request, nowSeconds, { authorizer }),
        );
  return {
    workload: target.workload,
    request: read.kind === 'reply' ? 'a malformed request' : requestText(read.request),
    explanation: { ...explained, caveats: [...caveats, ...explained.caveats] },
    notApplied: set.notApplied(target),
    locate: set.locate,
  };
}

/** A token for --claims. */
interface SignedClaims {
  readonly token: { readonly text: string; readonly place: TokenPlace };
  /** The target with the key that verifies the token. */
  readonly enforced: Enforced;
  readonly caveats: readonly string[];
}

/** The token goes where the JWT rule of its issuer looks for one. Claims without an issuer get that of the first rule. */
function signClaims(given: GeneratedClaims, { program }: Enforced, { token }: ExplainOptions): SignedClaims {
  if (token !== undefined) throw new CommandError(EXIT_USAGE, 'give the token in one form: as --token or as --claims');
  const [first] = program.providers;
  if (first === undefined)
    throw new CommandError(EXIT_USAGE, '--claims: no RequestAuthentication applies to the workload, so no token is read');
  const isAssumed = given['iss'] === undefined && first.issuer !== '';
  const claims = isAssumed ? { iss: first.issuer, ...given } : given;
  const provider = program.providers.find(({ issuer }) => issuer === claims['iss']) ?? first;
  const testKey = createTestKey();
  const place = placesOf(provider)[0] ?? { kind: 'header', name: 'authorization', prefix: 'Bearer ' };
  return {
    token: { text: testKey.sign(claims), place },
    enforced: { program, keySets: testKey.keySetsFor(program) },
    caveats: [
      'the signature of the token with these claims is assumed to be valid',
      ...(isAssumed ? [`--claims has no iss; ${first.issuer} is assumed`] : []),
    ],
  };
}

/** As with curl, an argument that is a URL is the URL of the request. */
function takeUrlArgument(
  args: readonly string[],
  options: ExplainOptions,
): { readonly paths: readonly string[]; readonly options: ExplainOptions } {
  const [url, ...more] = args.filter((arg) => /^https?:\/\//.test(arg));
  if (url === undefined) return { paths: args, options };
  if (options.url !== undefined || more.length > 0)
    throw new CommandError(EXIT_USAGE, `only one URL can be evaluated at a time; ${url} is another one`);
  return { paths: args.filter((arg) => arg !== url), options: { ...options, url } };
}

async function readPolicies(paths: readonly string[], options: ExplainOptions, context: CommandContext): Promise<LivePolicies> {
  const [first] = paths;
  const isLive = options.bundle === undefined && (namesCluster(options) || (await namesTarget(paths, context)));
  if (!isLive) return { set: await readFiles(paths, options, context), labels: undefined };
  if (first === undefined || paths.length > 1) throw new CommandError(EXIT_USAGE, 'give one pod or workload of the cluster');
  const keySetOf = await readKeySets(options.jwks, context);
  if (namesCluster(options)) return readLivePolicies(first, options, { keySetOf, context });
  return readLivePolicies(first, options, { keySetOf, context }).catch((thrown: unknown) => {
    if (!(thrown instanceof CommandError)) throw thrown;
    const lines = [`${first}: no such file or directory`, `as a pod or workload: ${thrown.message}`];
    throw new CommandError(thrown.exitCode, lines, { cause: thrown });
  });
}

async function readFiles(paths: readonly string[], options: ExplainOptions, context: CommandContext): Promise<PolicySet> {
  if ((options.bundle === undefined) === (paths.length === 0)) {
    throw new CommandError(EXIT_USAGE, 'give policies in one form: as paths or as --bundle');
  }
  const keySetOf = await readKeySets(options.jwks, context);
  if (options.bundle !== undefined) return policySetOfBundle(await requireInput(options.bundle, context), options.bundle, keySetOf);
  const { mesh } = await readConfig(options.config, context);
  const manifests = await readManifests(paths, context);
  const set = policySetOf(manifests, mesh, keySetOf);
  writeFindingLines(set.findings, context.stderr);
  const bundle = manifests.objects.find(({ object }) => isBundle(object));
  if (bundle !== undefined && set.workloads.length === 0) {
    throw new CommandError(EXIT_USAGE, `${bundle.origin.file} is a bundle: give it with --bundle`);
  }
  if (!manifests.isComplete) throw new CommandError(EXIT_BAD_DATA, 'not every file could be read, so the request is not evaluated');
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
  throw new CommandError(EXIT_USAGE, `choose a workload with --workload; known: ${known}`);
}
