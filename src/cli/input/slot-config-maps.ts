/*
 * ConfigMaps of signed bundles, as `kubectl get configmap -o yaml` prints them: one, several documents, or a List.
 */

import { type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import { SLOT_KEYS_KEY, SLOT_PART_KEY, SLOT_STATEMENT_KEY } from '../../api/kube/names.ts';
import { parseYamlDocuments } from '../../api/kube/yaml-documents.ts';
import { digestOf } from '../../bundle/digest.ts';
import { fromStoredForm } from '../../bundle/slots.ts';
import { peekStatement, type Statement } from '../../bundle/statement.ts';
import { RefusedError } from '../../errors.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';

/** One ConfigMap. */
export interface SlotConfigMap {
  /** `namespace/name`. */
  readonly name: string;
  readonly namespace: string;
  readonly jws: string;
  readonly keys: string;
  /** What the JWS says; undefined: it is not a statement. */
  readonly statement: Statement | undefined;
  readonly part: Buffer | undefined;
  /** Digest of the part. */
  readonly partDigest: string | undefined;
}

/** The ConfigMaps of signed bundles in `text`; others are left out. @throws CommandError with exit code 65 when it is not YAML */
export function readSlotConfigMaps(text: string, file: string): readonly SlotConfigMap[] {
  const { documents, errorText } = parseYamlDocuments(text);
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw new CommandError(EXIT_BAD_DATA, `${file}: not YAML: ${errorText(error)}`);
    return slotsOf(document.toJS());
  });
}

/** The same in the value of one document. */
export function slotsOf(value: unknown): readonly SlotConfigMap[] {
  const root = objectOf(value);
  const items = Array.isArray(root['items']) ? root['items'].map(objectOf) : [root];
  return items.flatMap((item) => slotOf(item) ?? []);
}

/** What the statements of ConfigMaps say, newest first. Says nothing about signatures. */
export function statementsIn(slots: readonly Pick<SlotConfigMap, 'statement'>[]): readonly Statement[] {
  const statements = slots.flatMap(({ statement }) => statement ?? []);
  return [...new Map(statements.map((statement) => [`${statement.number} ${statement.digest}`, statement])).values()].sort(
    (one, other) => other.number - one.number,
  );
}

/** What the statement of one ConfigMap says; undefined: it has none, or one about another namespace. Says nothing about the signature. */
export function ownStatement({ metadata, data }: Readonly<Record<string, unknown>>): Statement | undefined {
  const statement = peekStatement(textOf(objectOf(data)[SLOT_STATEMENT_KEY]));
  return statement?.namespace === objectOf(metadata)['namespace'] ? statement : undefined;
}

/** When a statement says that it was published, ISO 8601; `''`: its number is no time, so that no controller wrote it. */
export function publishedAt({ number }: Statement): string {
  const time = new Date(number);
  return Number.isNaN(time.getTime()) ? '' : time.toISOString();
}

/** The JSON of a statement, from the parts in `slots`. @throws RefusedError when a part is missing or changed */
export function jsonOfStatement(statement: Statement, slots: readonly SlotConfigMap[]): Uint8Array {
  return fromStoredForm(statement, (digest) => slots.find(({ partDigest }) => partDigest === digest)?.part);
}

/** The workload that a statement names. @throws RefusedError SP_BUNDLE_FOREIGN when it names none */
export function workloadOfStatement({ namespace, workload }: Statement): WorkloadRef {
  if (workload === undefined)
    throw new RefusedError('SP_BUNDLE_FOREIGN', `the statement is about namespace ${namespace}, not about a workload`);
  return { namespace, ...workload };
}

/** The key of that workload, or the namespace. */
export function subjectOf(statement: Statement): string {
  return statement.workload === undefined ? statement.namespace : workloadKey(workloadOfStatement(statement));
}

function slotOf(object: Readonly<Record<string, unknown>>): SlotConfigMap | undefined {
  const metadata = objectOf(object['metadata']);
  const [data, binaryData] = [objectOf(object['data']), objectOf(object['binaryData'])];
  const jws = data[SLOT_STATEMENT_KEY];
  const [plain, encoded] = [data[SLOT_PART_KEY], binaryData[SLOT_PART_KEY]];
  if (object['kind'] !== 'ConfigMap' || (jws === undefined && plain === undefined && encoded === undefined)) return undefined;
  const namespace = textOf(metadata['namespace']);
  const part = plain === undefined ? bufferOf(encoded) : Buffer.from(textOf(plain));
  return {
    name: `${namespace}/${textOf(metadata['name'])}`,
    namespace,
    jws: textOf(jws),
    keys: textOf(data[SLOT_KEYS_KEY]),
    statement: peekStatement(textOf(jws)),
    part,
    partDigest: part === undefined ? undefined : digestOf(part),
  };
}

function bufferOf(encoded: unknown): Buffer | undefined {
  return encoded === undefined ? undefined : Buffer.from(textOf(encoded), 'base64');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : {};
}
