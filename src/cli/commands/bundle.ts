/*
 * `sallyport bundle show POD`: what a pod or workload enforces. `sallyport bundle verify FILE...`: verifies signed bundles as an agent
 * does, and says what it would accept.
 */
import type { Command } from 'commander';
import { keyIdOf, type Statement } from '../../bundle/statement.ts';
import type { TrustAnchor } from '../../bundle/trust-anchor.ts';
import { RefusedError } from '../../errors.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK } from '../context/exit-codes.ts';
import { openStatement } from '../input/open-statement.ts';
import { requireInput } from '../input/read-file.ts';
import { readTrustAnchor } from '../input/read-trust-anchor.ts';
import { readSlotConfigMaps, type SlotConfigMap, statementsIn, subjectOf } from '../input/slot-config-maps.ts';
import { addClusterOptions, type ClusterOptions } from '../live/cluster-options.ts';
import { readPublishedBundle } from '../live/published-bundle.ts';
import { withSession } from '../live/session.ts';
import { findTarget, requireTargetName } from '../live/target.ts';
import { formatPublishedBundle, publishedBundleValue } from '../output/published-bundle.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { formatTable } from '../output/table.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';

interface VerifyOptions {
  readonly trustAnchor: string;
  readonly output: OutputFormat;
}

interface ShowOptions extends ClusterOptions {
  readonly output: OutputFormat;
}

/** Printed as JSON with these member names. */
interface Verified {
  /** `namespace/name` of the ConfigMaps. */
  readonly configMaps: readonly string[];
  readonly subject: string;
  readonly number: number | undefined;
  readonly digest: string;
  /** ID of the key that signed, and when its period ends. */
  readonly key: string;
  readonly validUntil: string;
  /** `valid`, or the code of the refusal. */
  readonly result: string;
  readonly message: string;
}

const DIGEST_LENGTH = 'sha256:'.length + 12;
const KEY_LENGTH = 12;

/** Adds `bundle` to the program. */
export function addBundleCommand(program: Command, { context, finish }: CommandHost): void {
  const bundle = program
    .command('bundle')
    .summary('show and verify published bundles')
    .description('Works with the signed bundles that the controller publishes. `bundle POD` is `bundle show POD`.');
  addClusterOptions(bundle.command('show <target>', { isDefault: true }), 'namespace')
    .summary('show what a pod or workload enforces')
    .description(
      'Reads the bundle that is published for a pod or a workload, verifies it as the agent of the pod does, and shows its rules with the policies that they are from. Secrets are not shown.',
    )
    .addOption(outputOption())
    .action(async (target: string, options: ShowOptions) => finish(await show(target, options, context)));
  bundle
    .command('verify')
    .summary('verify signed bundles in files')
    .description(
      'Verifies the ConfigMaps of bundles, as `kubectl get configmap -o yaml` prints them, as an agent does: signature, keys, cluster, workload, parts and schema.',
    )
    .argument('<file...>', 'ConfigMaps in YAML or JSON, also as a List; - for standard input')
    .requiredOption('--trust-anchor <file>', 'what agents trust: the output of `sallyport keys show --anchor`')
    .addOption(outputOption())
    .action(async (files: string[], options: VerifyOptions) => finish(await verify(files, options, context)));
}

async function show(name: string, options: ShowOptions, context: CommandContext): Promise<number> {
  const { stdout } = context;
  const wanted = requireTargetName(name);
  const { target, published } = await withSession(options, context, async (session) => {
    const found = await findTarget(session, wanted);
    return { target: found, published: await readPublishedBundle(session, found) };
  });
  if (options.output === 'table') writeText(stdout, formatPublishedBundle(published, target, stdout));
  else writeDocument(stdout, formatDocument('PublishedBundle', publishedBundleValue(published, target), options.output));
  return EXIT_OK;
}

async function verify(files: readonly string[], options: VerifyOptions, context: CommandContext): Promise<number> {
  const anchor = await readTrustAnchor(options.trustAnchor, context);
  const slots: SlotConfigMap[] = [];
  for (const file of files) slots.push(...readSlotConfigMaps(await requireInput(file, context), file));
  if (slots.length === 0) throw new CommandError(EXIT_BAD_DATA, `${files.join(', ')}: no ConfigMap of a signed bundle`);
  const unsigned = slots.filter(({ jws }) => keyIdOf(jws) === '').map(describeUnsigned);
  const results = [...statementsIn(slots).map((statement) => verifyOne(statement, slots, anchor)), ...unsigned];
  print(results, options.output, context);
  return results.every(({ result }) => result === 'valid') ? EXIT_OK : EXIT_FINDINGS;
}

function describeUnsigned({ name, namespace }: SlotConfigMap): Verified {
  const message = 'the statement is missing, or not a JWS of the form that Sallyport writes';
  const none = { number: undefined, digest: '', key: '', validUntil: '' };
  return { configMaps: [name], subject: namespace, ...none, result: 'SP_BUNDLE_UNSIGNED', message };
}

function verifyOne(statement: Statement, all: readonly SlotConfigMap[], anchor: TrustAnchor): Verified {
  const own = all.filter((slot) => slot.namespace === statement.namespace && slot.statement?.digest === statement.digest);
  const { jws = '' } = own.find((slot) => slot.statement?.number === statement.number) ?? {};
  const facts = {
    configMaps: own.map(({ name }) => name),
    subject: subjectOf(statement),
    number: statement.number,
    digest: statement.digest,
    key: keyIdOf(jws),
    validUntil: '',
  };
  try {
    const { validUntil } = openStatement(statement, all, anchor);
    return { ...facts, validUntil, result: 'valid', message: '' };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return { ...facts, result: error.code, message: error.message };
  }
}

function print(results: readonly Verified[], output: OutputFormat, { stdout }: CommandContext): void {
  if (output !== 'table') {
    writeDocument(stdout, formatDocument('BundleVerification', { items: results }, output));
    return;
  }
  const rows = results.map(({ subject, number, digest, key, validUntil, result, message }) => [
    subject,
    String(number ?? ''),
    digest.slice(0, DIGEST_LENGTH),
    key.slice(0, KEY_LENGTH),
    validUntil,
    message === '' ? result : `${result}: ${message}`,
  ]);
  writeText(stdout, formatTable(['SUBJECT', 'NUMBER', 'DIGEST', 'KEY', 'VALID UNTIL', 'RESULT'], rows, stdout));
}
