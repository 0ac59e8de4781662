/*
 * What a bug report contains: versions, the controller with its logs, policies with their statuses, and what is published. No Secret is
 * read, and tokens, symmetric keys and the values of provider headers are replaced.
 */
import { BUNDLE_LABEL, MANAGED_BY, MANAGED_BY_LABEL } from '../../api/kube/names.ts';
import { projectPod } from '../../api/kube/slim.ts';
import { workloadOf } from '../../api/kube/workload.ts';
import { parseYamlValue } from '../../api/kube/yaml-documents.ts';
import { isRawObject, type RawObject } from '../../cluster/kube-object.ts';
import { type Collection, listObjects } from '../../cluster/list-objects.ts';
import {
  AUTHORIZATION_POLICIES,
  CONFIG_MAPS,
  EVENTS,
  MUTATING_WEBHOOK_CONFIGURATIONS,
  PODS,
  REQUEST_AUTHENTICATIONS,
  type Resource,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
} from '../../cluster/paths.ts';
import { RefusedError, TransientError } from '../../errors.ts';
import { redactSecrets } from '../../explain/redact.ts';
import { VERSION } from '../../version.ts';
import { slotsOf } from '../input/slot-config-maps.ts';
import { MAX_SILENCE_MS, readPodLog } from './pod-log.ts';
import { ALWAYS, type LiveSession } from './session.ts';

/** What to collect. */
export interface ReportScope {
  /** Namespace of the controller. */
  readonly system: string;
  /** Lines of each log. */
  readonly logLines: number;
}

const MAX_LOG_BYTES = 8 * 1024 * 1024;
/** Limits of one list, of which most objects are made by tenants. */
const MAX_OBJECTS = 5000;
const MAX_LIST_BYTES = 32 * 1024 * 1024;
/** An installation has two or three controllers. */
const MAX_LOGS = 20;
const OURS = 'app.kubernetes.io/part-of=sallyport';
const DEPLOYMENTS: Resource = { group: 'apps', version: 'v1', kind: 'Deployment', plural: 'deployments', namespaced: true };
/** Members whose values let a reader make tokens. */
const SECRET_MEMBERS: ReadonlySet<string> = new Set(['k', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'caBundle']);
/** Headers of a provider, whose values let a reader call it. */
const PROVIDER_HEADERS = 'includeAdditionalHeadersInCheck';
/** A name of {@link SECRET_MEMBERS} or {@link PROVIDER_HEADERS} with a colon, in text that is neither JSON nor YAML. */
const SECRET_IN_TEXT = /\b(?:k|d|p|q|dp|dq|qi|caBundle|includeAdditionalHeadersInCheck)\b["']?\s*:/;

interface Collecting {
  readonly session: LiveSession;
  readonly files: Map<string, string>;
  readonly errors: string[];
}

/** The files of a report by their names; what could not be read is in `errors.txt`. */
export async function collectReport(session: LiveSession, { system, logLines }: ReportScope): Promise<ReadonlyMap<string, string>> {
  const into: Collecting = { session, files: new Map(), errors: [] };
  await attempt(into, 'the version of the cluster', async () => {
    const { json } = await session.client.request({ method: 'GET', path: '/version' });
    add(into, 'versions.json', { sallyport: VERSION, node: process.versions.node, platform: process.platform, cluster: json });
  });
  await addList(into, 'controller/deployments.json', { resource: DEPLOYMENTS, namespace: system, labelSelector: OURS });
  await addList(into, 'controller/config-maps.json', { resource: CONFIG_MAPS, namespace: system, labelSelector: OURS });
  await addList(into, 'controller/events.json', { resource: EVENTS, namespace: system });
  const pods = await addList(into, 'controller/pods.json', { resource: PODS, namespace: system, labelSelector: OURS });
  for (const pod of pods.slice(0, MAX_LOGS)) await addLog(into, pod, logLines);
  if (pods.length > MAX_LOGS) into.errors.push(`logs: those of ${pods.length - MAX_LOGS} pods, because there are too many`);
  for (const resource of [MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS])
    await addList(into, `${resource.plural}.json`, { resource, labelSelector: OURS });
  for (const resource of [REQUEST_AUTHENTICATIONS, AUTHORIZATION_POLICIES])
    await addList(into, `policies/${resource.plural}.json`, { resource, ...scopeOf(session) });
  await addBundles(into);
  await addWorkloads(into);
  if (into.errors.length > 0) into.files.set('errors.txt', `${into.errors.join('\n')}\n`);
  return into.files;
}

function scopeOf({ scope }: LiveSession): { readonly namespace?: string } {
  return scope === undefined ? {} : { namespace: scope };
}

async function addList(into: Collecting, name: string, collection: Collection): Promise<readonly RawObject[]> {
  return addEach(into, name, { collection, what: `${collection.resource.plural} for ${name}`, select: withoutNoise });
}

/** The statements of bundles; their parts are what the policies say. */
async function addBundles(into: Collecting): Promise<void> {
  const collection = {
    resource: CONFIG_MAPS,
    labelSelector: `${BUNDLE_LABEL},${MANAGED_BY_LABEL}=${MANAGED_BY}`,
    ...scopeOf(into.session),
  };
  const select = (raw: RawObject): object | undefined => {
    const [slot] = slotsOf({ ...raw, kind: 'ConfigMap' });
    return slot === undefined ? undefined : { name: slot.name, statement: slot.statement, partBytes: slot.part?.length };
  };
  await addEach(into, 'bundles.json', { collection, what: 'bundles', select });
}

interface EachOptions<T extends object> {
  readonly collection: Collection;
  /** What is not collected when the list fails. */
  readonly what: string;
  /** undefined: leave the object out. */
  readonly select: (raw: RawObject) => T | undefined;
}

/** Adds a file with what is selected of each object, and says in the errors when not all of it is there. */
async function addEach<T extends object>(
  into: Collecting,
  name: string,
  { collection, what, select }: EachOptions<T>,
): Promise<readonly T[]> {
  const selected: T[] = [];
  const texts: string[] = [];
  let bytes = 0;
  let missing = 0;
  const visit = (raw: RawObject): void => {
    const one = select(raw);
    if (one === undefined) return;
    const text = textOf(one);
    if (selected.length === MAX_OBJECTS || bytes + text.length > MAX_LIST_BYTES) {
      missing += 1;
      return;
    }
    bytes += text.length;
    selected.push(one);
    texts.push(text);
  };
  await attempt(into, what, async () => {
    await listObjects(into.session.client, collection, visit, ALWAYS);
    into.files.set(name, `[${texts.join(',\n')}]\n`);
    if (missing > 0) into.errors.push(`${what}: ${missing} of ${missing + selected.length}, because the list is too long`);
  });
  return selected;
}

/** Each workload with the number of its pods and agents. */
async function addWorkloads(into: Collecting): Promise<void> {
  const counts = new Map<string, { pods: number; agents: number; faults: string[] }>();
  let missing = 0;
  await attempt(into, 'pods', async () => {
    const visit = (raw: RawObject): void => {
      const pod = projectPod(raw);
      const { namespace, kind, name } = workloadOf(pod);
      const key = `${namespace}/${kind}/${name}`;
      const count = counts.get(key) ?? { pods: 0, agents: 0, faults: [] };
      count.pods += 1;
      if (pod.agent !== undefined) count.agents += 1;
      if (pod.agentFault !== undefined) count.faults.push(`${pod.name}: ${pod.agentFault}`);
      if (counts.has(key) || counts.size < MAX_OBJECTS) counts.set(key, count);
      else missing += 1;
    };
    await listObjects(into.session.client, { resource: PODS, ...scopeOf(into.session) }, visit, ALWAYS);
    add(into, 'workloads.json', Object.fromEntries(counts));
    if (missing > 0) into.errors.push(`workloads: those of ${missing} pods, because there are more than ${MAX_OBJECTS}`);
  });
}

async function addLog(into: Collecting, pod: RawObject, lines: number): Promise<void> {
  const { name = '', namespace = '' } = pod.metadata ?? {};
  await attempt(into, `the log of pod ${namespace}/${name}`, async () => {
    const query = { tailLines: lines, limitBytes: MAX_LOG_BYTES };
    const chunks: Uint8Array[] = [];
    for await (const chunk of readPodLog(into.session.client, { pod: { namespace, name }, query, maxSilenceMs: MAX_SILENCE_MS }, ALWAYS))
      chunks.push(chunk);
    into.files.set(`controller/${name.slice(0, 70)}.log`, redactSecrets(Buffer.concat(chunks).toString('utf8')));
  });
}

/** What fails is noted, and the rest is collected. */
async function attempt({ errors }: Collecting, what: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (thrown) {
    if (!(thrown instanceof RefusedError || thrown instanceof TransientError)) throw thrown;
    const reason = thrown instanceof RefusedError ? (thrown.sentence ?? thrown.message) : thrown.message;
    errors.push(`${what}: ${reason}`);
  }
}

function add({ files }: Collecting, name: string, value: object): void {
  files.set(name, `${textOf(value)}\n`);
}

function textOf(value: object): string {
  return JSON.stringify(value, redactMember, 2);
}

function withoutNoise(raw: RawObject): RawObject {
  const { managedFields: _managedFields, ...metadata } = raw.metadata ?? {};
  return { ...raw, metadata };
}

/** Replaces secrets in a member, also in JSON or YAML within a string, as inline key sets and the controller's configuration are. */
function redactMember(name: string, value: unknown): unknown {
  if (SECRET_MEMBERS.has(name) && typeof value === 'string') return 'redacted';
  if (name === PROVIDER_HEADERS && isRawObject(value)) return Object.fromEntries(Object.keys(value).map((key) => [key, 'redacted']));
  return typeof value === 'string' ? redactText(value) : value;
}

function redactText(text: string): string {
  if (!/^\s*[{[]/.test(text) && !text.includes(PROVIDER_HEADERS)) return redactSecrets(text);
  const inner = structureIn(text);
  if (inner !== undefined) return JSON.stringify(inner, redactMember);
  return SECRET_IN_TEXT.test(text) ? 'redacted: neither JSON nor YAML' : redactSecrets(text);
}

/** The object or array in the text; undefined: it has none. */
function structureIn(text: string): object | undefined {
  for (const parse of [JSON.parse, parseYamlValue]) {
    try {
      const value: unknown = parse(text);
      if (typeof value === 'object' && value !== null) return value;
    } catch {
      // A key set with a typing error, which a report may be about, is often YAML.
    }
  }
  return undefined;
}
