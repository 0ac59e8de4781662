/*
 * `sallyport keys show|rotate|restore|reset`: the signing keys of an installation, in the Secret of its namespace.
 */
import { type Command, Option } from 'commander';
import { SIGNING_KEYS_SECRET } from '../../api/kube/names.ts';
import { parseYamlValue } from '../../api/kube/yaml-documents.ts';
import { thumbprint } from '../../bundle/jws.ts';
import type { KubeClient } from '../../cluster/client.ts';
import { isRawObject } from '../../cluster/kube-object.ts';
import { deleteObject } from '../../cluster/objects.ts';
import { SECRETS } from '../../cluster/paths.ts';
import { RefusedError } from '../../errors.ts';
import { clusterReader } from '../../keys/cluster-id.ts';
import { type KeyStore, keysIn, type StoredKeys, secretKeyStore } from '../../keys/key-store.ts';
import {
  mintKeys,
  moveToCluster,
  parseSigningKeys,
  rootId,
  rotateRoot,
  rotateSigningKey,
  type SigningKeys,
  signerOf,
} from '../../keys/signing-keys.ts';
import { VERSION } from '../../version.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FAILURE, EXIT_OK } from '../context/exit-codes.ts';
import { requireInput } from '../input/read-file.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { formatTable } from '../output/table.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';

interface ClusterOptions {
  readonly namespace: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

interface ShowOptions extends ClusterOptions {
  readonly anchor?: boolean;
  readonly output: OutputFormat;
}

/** What the commands of one call work on. */
interface Session {
  readonly client: KubeClient;
  readonly store: KeyStore;
  readonly namespace: string;
  readonly context: CommandContext;
}

/** Requests end with the process: a signal ends both. */
const ALWAYS = new AbortController().signal;

/** Adds `keys` to the program. */
export function addKeysCommand(program: Command, { context, finish }: CommandHost): void {
  const keys = program
    .command('keys')
    .summary('show and replace signing keys')
    .description(`Shows and replaces the keys that sign bundles: the Secret ${SIGNING_KEYS_SECRET} in the namespace of the controller.`);
  const add = (name: string, summary: string, description: string): Command =>
    keys
      .command(name)
      .summary(summary)
      .description(description)
      .option('-n, --namespace <namespace>', 'namespace of the controller', 'sallyport-system')
      .option('--kubeconfig <file>', 'kubeconfig file; default: $KUBECONFIG, then ~/.kube/config')
      .option('--context <name>', 'context of the kubeconfig');
  add('show', 'show the signing keys', 'Shows the public parts of the keys and their periods of validity.')
    .option('--anchor', 'print what agents trust, for `sallyport inject --trust-anchor`')
    .addOption(outputOption())
    .action(async (options: ShowOptions) => finish(await withSession(options, context, (session) => show(session, options))));
  add(
    'rotate',
    'replace the signing key',
    'Replaces the signing key. Agents follow; signatures of the former key stay valid until it expires.',
  )
    .option('--root', 'replace the root key, too; the former one signs the new one, so that running agents follow')
    .action(async (options: ClusterOptions & { readonly root?: boolean }) =>
      finish(await withSession(options, context, (session) => rotate(session, options.root === true))),
    );
  add('restore', 'restore missing keys from a backup', 'Creates the Secret from a backup. Refused while there are keys.')
    .argument('<file>', 'the Secret as `kubectl get secret -o yaml` printed it, or its keys.json; - for standard input')
    .action(async (file: string, options: ClusterOptions) =>
      finish(await withSession(options, context, (session) => restore(session, file))),
    );
  add(
    'reset',
    'make new keys that running agents do not trust',
    'Makes new keys when the old ones are lost or stolen. Running agents keep their last bundle and take no new one until their pods are replaced.',
  )
    .addOption(new Option('--yes', 'really do it').makeOptionMandatory())
    .action(async (options: ClusterOptions) => finish(await withSession(options, context, reset)));
}

async function withSession(options: ClusterOptions, context: CommandContext, run: (session: Session) => Promise<number>): Promise<number> {
  const { namespace, kubeconfig, context: name } = options;
  // Loaded only here, because no other command talks to a cluster.
  const { createKubeClient } = await import('../../cluster/client.ts');
  const client = createKubeClient({
    version: VERSION,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(name === undefined ? {} : { context: name }),
  });
  try {
    return await run({ client, store: secretKeyStore(client, namespace), namespace, context });
  } finally {
    await client.close();
  }
}

async function show({ store, namespace, context }: Session, { anchor, output }: ShowOptions): Promise<number> {
  const { keys } = await requireKeys({ store, namespace });
  const { stdout } = context;
  if (anchor === true) {
    writeText(stdout, `${signerOf(keys).anchor}\n`);
    return EXIT_OK;
  }
  const rows = keys.keys.map(({ x, notBefore, notAfter }, at) => ({
    key: thumbprint(x),
    use: at === keys.keys.length - 1 ? 'signs' : 'verifies',
    notBefore: new Date(notBefore).toISOString(),
    notAfter: new Date(notAfter).toISOString(),
  }));
  const facts = { cluster: keys.cluster, root: rootId(keys), formerRoots: keys.successions.length, number: keys.number, keys: rows };
  if (output !== 'table') {
    writeDocument(stdout, formatDocument('SigningKeys', facts, output));
    return EXIT_OK;
  }
  writeText(stdout, `cluster ${facts.cluster}, root key ${facts.root}, ${facts.formerRoots} former root keys, list ${facts.number}\n\n`);
  const cells = rows.map(({ key, use, notBefore, notAfter }) => [key, use, notBefore, notAfter]);
  writeText(stdout, formatTable(['KEY', 'USE', 'VALID FROM', 'VALID UNTIL'], cells, stdout));
  return EXIT_OK;
}

async function rotate(session: Session, isRoot: boolean): Promise<number> {
  const { store, context } = session;
  const { keys, version } = await requireKeys(session);
  const next = isRoot ? rotateRoot(keys, Date.now()) : rotateSigningKey(keys, Date.now());
  if (!(await store.replace(next, version, ALWAYS))) throw changed();
  writeText(context.stdout, isRoot ? `the root key is ${rootId(next)} now\n` : `the key ${signerOf(next).kid} signs now\n`);
  return EXIT_OK;
}

async function restore({ client, store, namespace, context }: Session, file: string): Promise<number> {
  const backup = parseBackup(await requireInput(file, context), file);
  const keys = moveToCluster(backup, await clusterReader(client)(ALWAYS), Date.now());
  if (!(await store.create(keys, ALWAYS)))
    throw new CommandError(EXIT_FAILURE, `namespace ${namespace} has signing keys already; nothing was changed`);
  writeText(context.stdout, `restored; the root key is ${rootId(keys)}\n`);
  return EXIT_OK;
}

async function reset({ client, store, namespace, context }: Session): Promise<number> {
  const keys = mintKeys(await clusterReader(client)(ALWAYS), Date.now());
  await deleteObject(client, { resource: SECRETS, namespace, name: SIGNING_KEYS_SECRET }, { signal: ALWAYS });
  if (!(await store.create(keys, ALWAYS))) throw changed();
  writeText(
    context.stdout,
    `the root key is ${rootId(keys)} now; replace all pods with an agent, for example by kubectl rollout restart\n`,
  );
  return EXIT_OK;
}

async function requireKeys({ store, namespace }: Pick<Session, 'store' | 'namespace'>): Promise<StoredKeys> {
  const stored = await store.read(ALWAYS);
  if (stored !== undefined) return stored;
  throw new CommandError(EXIT_FAILURE, `namespace ${namespace} has no Secret ${SIGNING_KEYS_SECRET}: is the controller installed there?`);
}

/** A Secret, or the document in it. */
function parseBackup(text: string, file: string): SigningKeys {
  try {
    const value = parseYamlValue(text);
    return isRawObject(value) && value.kind === 'Secret' ? keysIn(value) : parseSigningKeys(text);
  } catch (error) {
    const reason = error instanceof RefusedError ? error.message : 'not YAML or JSON';
    throw new CommandError(EXIT_BAD_DATA, `${file}: ${reason}`, { cause: error });
  }
}

function changed(): CommandError {
  return new CommandError(EXIT_FAILURE, 'the keys were changed at the same time; try again');
}
