/*
 * `sallyport bundle verify FILE...`: verifies signed bundles as an agent does, and says what it would accept.
 */
import type { Command } from 'commander';
import { parseBundle } from '../../bundle/decode.ts';
import { acceptKeyLists, type TrustedKeys } from '../../bundle/key-list.ts';
import { keyIdOf, type Statement, verifyStatement } from '../../bundle/statement.ts';
import type { TrustAnchor } from '../../bundle/trust-anchor.ts';
import { RefusedError } from '../../errors.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK } from '../context/exit-codes.ts';
import { requireInput } from '../input/read-file.ts';
import { readTrustAnchor } from '../input/read-trust-anchor.ts';
import { jsonOfStatement, readSlotConfigMaps, type SlotConfigMap, statementsIn, subjectOf } from '../input/slot-config-maps.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { formatTable } from '../output/table.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';

interface VerifyOptions {
  readonly trustAnchor: string;
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
  const bundle = program.command('bundle').summary('work with signed bundles').description('Works with signed bundles.');
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
  const slots = all.filter(({ namespace }) => namespace === statement.namespace);
  const own = slots.filter((slot) => slot.statement?.digest === statement.digest);
  const { jws = '', keys = '' } = own.find((slot) => slot.statement?.number === statement.number) ?? {};
  const facts = {
    configMaps: own.map(({ name }) => name),
    subject: subjectOf(statement),
    number: statement.number,
    digest: statement.digest,
    key: keyIdOf(jws),
    validUntil: '',
  };
  try {
    const trusted = acceptKeyLists(keys, anchor);
    checkStatement(statement, jws, { keys: trusted, anchor });
    const json = jsonOfStatement(statement, slots);
    if (statement.schema === 'sallyport.dev/bundle/v2') parseBundle(json);
    const notAfter = trusted.keys.get(facts.key)?.notAfter ?? 0;
    return { ...facts, validUntil: new Date(notAfter).toISOString(), result: 'valid', message: '' };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return { ...facts, result: error.code, message: error.message };
  }
}

function checkStatement(
  { schema, namespace, workload }: Statement,
  jws: string,
  { keys, anchor }: { readonly keys: TrustedKeys; readonly anchor: TrustAnchor },
): void {
  verifyStatement(schema, jws, { cluster: anchor.cluster, namespace, workload, keys, nowMs: Date.now() });
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
