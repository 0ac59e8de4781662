/*
 * Whether an agent guards a pod, read from the spec of the pod as the API server admitted it. Most of a spec cannot change
 * while the pod exists, whereas its owner may change annotations at any time. The rules allow what other webhooks add to every
 * container, and every rendering that an earlier version of the injection wrote.
 */

import {
  AGENT_ADMIN_PORT,
  AGENT_BLOCKED_PORT,
  AGENT_CAPTURE_PORT,
  AGENT_CONTAINER,
  AGENT_ENV,
  AGENT_USERS,
  AGENT_VOLUMES,
  BUNDLE_DIRECTORY,
  BUNDLE_LEVEL,
  CAPTURE_COMMANDS,
  FEED_DIRECTORY,
  FOREIGN_ENV,
  FOREIGN_MOUNTS,
  LABELS_FILE,
  POD_INFO_DIRECTORY,
  REDIRECT_CONTAINER,
  REDIRECT_ENV,
  STATE_DIRECTORY,
  TLS_DIRECTORY,
  TOKEN_DIRECTORY,
  WAIT_ENV,
} from './agent-contract.ts';
import { levelOfVolume } from './bundle-volume.ts';
import type { WorkloadId } from './keys.ts';
import { ascending, type Fields, fieldsOf, itemsOf, textsOf } from './pod-fields.ts';

/** What an installation accepts as its agent. */
export interface AgentRules {
  /** Image repositories, without tag and digest, to which only the operator can push. Empty: every image counts as ours. */
  readonly repositories: readonly string[];
}

/** Rules of an installation that does not know its agent's image, and of manifests. */
export const ANY_AGENT_IMAGE: AgentRules = { repositories: [] };

/** An agent that guards its pod. */
export interface PodAgent {
  /** The only ports whose connections go through the agent, ascending; undefined: those to every port do that is not excluded. */
  readonly ports: readonly number[] | undefined;
  /** Ports that bypass it, ascending. */
  readonly excluded: readonly number[];
  /** Ports in neither list bypass the agent, too. Absent: with `ports` they are closed. */
  readonly opensOthers?: true;
  /** How it gets bundles: 2 signed, in slots; 1 unsigned, as earlier versions did. */
  readonly level: 1 | 2;
  /** It takes bundles from the feed, too; absent: it does not. */
  readonly hasFeed?: true;
}

/** What an agent of level 2 accepts bundles by, as its environment says. */
export interface AgentTrust {
  /** See `parseTrustAnchor`; not checked here, because only the controller knows its keys. */
  readonly anchor: string;
  /** Lowest number of a bundle. */
  readonly floor: number;
}

/** `agent`: the pod is guarded. `fault`: it has one of our containers, but not as injected. Neither: it has none. */
export interface AgentReading {
  readonly agent?: PodAgent;
  /** Present with an agent of level 2. */
  readonly trust?: AgentTrust;
  /** One sentence without a final period that names the container and the field. */
  readonly fault?: string;
}

/** Reads the agent of a pod. @param workload kind and name of the pod's workload @param spec `spec` of the pod as admitted */
export function readPodAgent(spec: Fields, workload: WorkloadId, rules: AgentRules): AgentReading {
  const initContainers = itemsOf(spec['initContainers']);
  const agent = initContainers.find(({ name }) => name === AGENT_CONTAINER);
  const redirect = initContainers.find(({ name }) => name === REDIRECT_CONTAINER);
  const isNamed = itemsOf(spec['containers']).some(({ name }) => name === AGENT_CONTAINER || name === REDIRECT_CONTAINER);
  if (agent === undefined && redirect === undefined && !isNamed) return {};
  if (isNamed) return { fault: `the name of a container that is not an init container is reserved for the agent` };
  if (agent === undefined) return { fault: `container ${AGENT_CONTAINER} is missing` };
  if (redirect === undefined) return { fault: `container ${REDIRECT_CONTAINER} is missing` };
  const capture = readCapture(textsOf(redirect['args']));
  if (capture === undefined) return { fault: `container ${REDIRECT_CONTAINER}: args are not those of the injection` };
  const volumes = itemsOf(spec['volumes']);
  const level = levelOfVolume(volumes.find(({ name }) => name === AGENT_VOLUMES.bundle) ?? {}, workload);
  if (level === undefined) return { fault: `volume ${AGENT_VOLUMES.bundle} is not that of the injection` };
  const fault =
    describe(REDIRECT_CONTAINER, faultOfRedirect(redirect, { initContainers, capture, rules })) ??
    describe(AGENT_CONTAINER, faultOfAgent(agent, { capture, workload, level, rules })) ??
    faultOfVolumes(volumes);
  if (fault !== undefined) return { fault };
  return {
    agent: {
      ports: portsOfCapture(capture),
      excluded: ascending(capture.excluded),
      ...(capture.only.length > 0 && { opensOthers: true }),
      level,
      ...(itemsOf(agent['env']).some(({ name }) => name === AGENT_ENV.feed) && { hasFeed: true }),
    },
    ...(level === 2 ? { trust: trustOf(agent) } : {}),
  };
}

function trustOf(container: Fields): AgentTrust {
  const valueOf = (wanted: string): string => {
    const value = itemsOf(container['env']).find(({ name }) => name === wanted)?.['value'];
    return typeof value === 'string' ? value : '';
  };
  return { anchor: valueOf(AGENT_ENV.trustAnchor), floor: Number(valueOf(AGENT_ENV.bundleFloor)) };
}

interface RedirectArgs {
  /** The container waits for the node, and redirects nothing itself. */
  readonly waits: boolean;
  /** One port of the agent for each captured port, as earlier versions did; undefined: all go to {@link AGENT_CAPTURE_PORT}. */
  readonly maps: readonly { readonly port: number; readonly listen: number }[] | undefined;
  /** The only ports that are captured; empty: all of them. */
  readonly only: readonly number[];
  /** Without the agent's admin port. */
  readonly excluded: readonly number[];
}

/** The arguments exactly as injection writes them, or undefined. */
function readCapture([command, ...args]: readonly string[]): RedirectArgs | undefined {
  const waits = command === CAPTURE_COMMANDS.node;
  const flags = waits || command === CAPTURE_COMMANDS.pod ? readFlags(args) : undefined;
  if (flags === undefined) return undefined;
  const portsOf = (wanted: string): readonly number[] => flags.flatMap(({ flag, port }) => (flag === wanted ? [port] : []));
  const excluded = portsOf('--exclude');
  if (!excluded.includes(AGENT_ADMIN_PORT)) return undefined;
  const others = excluded.filter((port) => port !== AGENT_ADMIN_PORT);
  const maps = flags.flatMap(({ port, listen }) => (listen === undefined ? [] : [{ port, listen }]));
  const only = portsOf('--only');
  const [all = 0, blocked = 0] = [portsOf('--all').at(-1), portsOf('--blocked').at(-1)];
  if (all === AGENT_CAPTURE_PORT && blocked === 0 && maps.length === 0) return { waits, maps: undefined, only, excluded: others };
  if (!waits && blocked === AGENT_BLOCKED_PORT && all === 0 && only.length === 0) return { waits, maps, only, excluded: others };
  return undefined;
}

interface RedirectFlag {
  readonly flag: string;
  readonly port: number;
  /** Present with `--map` only. */
  readonly listen: number | undefined;
}

const PORT_FLAGS: readonly string[] = ['--exclude', '--only', '--all', '--blocked'];

function readFlags(args: readonly string[]): readonly RedirectFlag[] | undefined {
  const flags: RedirectFlag[] = [];
  for (let at = 0; at < args.length; at += 2) {
    const [flag = '', text = ''] = [args[at], args[at + 1]];
    const [port, listen, ...rest] = text.split(':').map(portOf);
    const isKnown = listen === undefined ? PORT_FLAGS.includes(flag) && !text.includes(':') : flag === '--map';
    if (!isKnown || port === undefined || rest.length > 0) return undefined;
    flags.push({ flag, port, listen });
  }
  return flags;
}

function portsOfCapture({ maps, only }: RedirectArgs): readonly number[] | undefined {
  if (maps !== undefined) return ascending(maps.map(({ port }) => port));
  return only.length === 0 ? undefined : ascending(only);
}

interface RedirectExpectation {
  readonly initContainers: readonly Fields[];
  readonly capture: RedirectArgs;
  readonly rules: AgentRules;
}

function faultOfRedirect(container: Fields, { initContainers, capture, rules }: RedirectExpectation): string | undefined {
  const before = initContainers.slice(0, initContainers.indexOf(container));
  const sidecar = before.find(({ restartPolicy }) => restartPolicy === 'Always');
  if (sidecar !== undefined) return `sidecar ${String(sidecar['name'])} starts before it`;
  return faultOfBoth(container, rules) ?? faultOfEnv(container, capture.waits ? WAITING_ENV : REDIRECTING_ENV);
}

interface AgentExpectation {
  readonly capture: RedirectArgs;
  readonly workload: WorkloadId;
  readonly level: PodAgent['level'];
  readonly rules: AgentRules;
}

function faultOfAgent(container: Fields, { capture, workload, level, rules }: AgentExpectation): string | undefined {
  if (container['restartPolicy'] !== 'Always') return 'it is not a sidecar';
  if (textsOf(container['args']).length > 0) return 'args are not those of the image';
  const { runAsUser, privileged, capabilities } = fieldsOf(container['securityContext']);
  if (!AGENT_USERS.includes(Number(runAsUser))) return `it runs as user ${String(runAsUser)}`;
  if (privileged === true || textsOf(fieldsOf(capabilities)['add']).length > 0) return 'it has capabilities';
  const env = { ...agentEnv(workload, level), ...captureEnv(capture) };
  const checked = { ...otherCaptureEnv(capture), ...(level === 1 ? { [AGENT_ENV.workloadKind]: equals(workload.kind) } : {}) };
  return faultOfBoth(container, rules) ?? faultOfEnv(container, env, checked) ?? missingMountOf(container);
}

/** What holds for both containers: nothing decides which code runs but the image. */
function faultOfBoth(container: Fields, { repositories }: AgentRules): string | undefined {
  const image = String(container['image']);
  if (repositories.length > 0 && !repositories.some((one) => isOfRepository(image, one))) return `image ${image} is not the agent's`;
  if (textsOf(container['command']).length > 0) return 'command is set';
  if (itemsOf(container['envFrom']).length > 0) return 'envFrom is set';
  if (container['lifecycle'] !== undefined) return 'lifecycle is set';
  if (container['workingDir'] !== undefined) return 'workingDir is set';
  if (PROBES.some((probe) => fieldsOf(container[probe])['exec'] !== undefined)) return 'a probe runs a command';
  const mount = itemsOf(container['volumeMounts']).find((one) => !isKnownMount(one));
  return mount === undefined ? undefined : `volume ${String(mount['name'])} is mounted at ${String(mount['mountPath'])}`;
}

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

/** Whether an image reference names a repository, with any tag or digest. */
export function isOfRepository(image: string, repository: string): boolean {
  return image === repository || image.startsWith(`${repository}:`) || image.startsWith(`${repository}@`);
}

/** The repository of an image reference: `registry.example:5000/a/b` of `registry.example:5000/a/b:1@sha256:…`. */
export function repositoryOf(image: string): string {
  const [name = ''] = image.split('@');
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

type EnvCheck = (entry: Fields) => boolean;

function equals(value: string): EnvCheck {
  return (entry) => entry['value'] === value && entry['valueFrom'] === undefined;
}

/** A value that decides nothing about enforcement. Not from a ConfigMap or Secret, which others may change later. */
const anyValue: EnvCheck = (entry) => entry['valueFrom'] === undefined;

function podField(path: string): EnvCheck {
  return (entry) => fieldsOf(fieldsOf(entry['valueFrom'])['fieldRef'])['fieldPath'] === path;
}

/** Variables of a level, which must be there; an agent of level 1 has none of them. */
function signatureEnv(workload: WorkloadId): Readonly<Record<string, EnvCheck>> {
  return {
    [AGENT_ENV.workloadKind]: equals(workload.kind),
    [AGENT_ENV.bundleLevel]: equals(String(BUNDLE_LEVEL)),
    [AGENT_ENV.trustAnchor]: anyValue,
    // Digits only: Kubernetes replaces `$(NAME)` by the value of another variable.
    [AGENT_ENV.bundleFloor]: (entry) => entry['valueFrom'] === undefined && /^\d{1,15}$/.test(String(entry['value'])),
  };
}

/** The variables that name the ports of the agent that connections are redirected to. */
function captureEnv({ maps }: RedirectArgs): Readonly<Record<string, EnvCheck>> {
  if (maps === undefined) return { [AGENT_ENV.capturePort]: equals(String(AGENT_CAPTURE_PORT)) };
  const ports = maps.map(({ port, listen }) => `${listen}:${port}`).join(',');
  return {
    // The API server drops an empty value.
    [AGENT_ENV.ports]: (entry) => (entry['value'] ?? '') === ports && entry['valueFrom'] === undefined,
    [AGENT_ENV.blockedPort]: equals(String(AGENT_BLOCKED_PORT)),
  };
}

/** The variables of the other way to redirect, which must not be there. */
function otherCaptureEnv({ maps }: RedirectArgs): Readonly<Record<string, EnvCheck>> {
  const never = (): boolean => false;
  return maps === undefined ? { [AGENT_ENV.ports]: never, [AGENT_ENV.blockedPort]: never } : { [AGENT_ENV.capturePort]: never };
}

function agentEnv(workload: WorkloadId, level: PodAgent['level']): Readonly<Record<string, EnvCheck>> {
  return {
    ...(level === 2 ? signatureEnv(workload) : {}),
    [AGENT_ENV.podIp]: podField('status.podIP'),
    [AGENT_ENV.podName]: podField('metadata.name'),
    [AGENT_ENV.namespace]: podField('metadata.namespace'),
    [AGENT_ENV.workload]: equals(workload.name),
    [AGENT_ENV.adminPort]: equals(String(AGENT_ADMIN_PORT)),
    [AGENT_ENV.bundleDirectory]: equals(BUNDLE_DIRECTORY),
    [AGENT_ENV.labelsFile]: equals(LABELS_FILE),
    [AGENT_ENV.stateDirectory]: equals(STATE_DIRECTORY),
  };
}

const REDIRECTING_ENV: Readonly<Record<string, EnvCheck>> = { [REDIRECT_ENV]: equals(`${STATE_DIRECTORY}/xtables.lock`) };
/** Another UID would be that of a pod whose redirect this one does not want. */
const WAITING_ENV: Readonly<Record<string, EnvCheck>> = {
  [WAIT_ENV.podUid]: podField('metadata.uid'),
  [WAIT_ENV.nodeName]: podField('spec.nodeName'),
};

const SIGNATURE_ENV: ReadonlySet<string> = new Set(Object.keys(signatureEnv({ kind: '', name: '' })));

/** Those that {@link agentEnv} does not check decide nothing about enforcement. */
const UNSIGNED_ENV: ReadonlySet<string> = new Set(Object.values(AGENT_ENV).filter((name) => !SIGNATURE_ENV.has(name)));

/** @param checked what earlier injections did not set */
function faultOfEnv(
  container: Fields,
  required: Readonly<Record<string, EnvCheck>>,
  checked: Readonly<Record<string, EnvCheck>> = {},
): string | undefined {
  const seen = new Set<string>();
  for (const entry of itemsOf(container['env'])) {
    const name = String(entry['name']);
    // The last of two entries counts in a container, so a second one is not ours.
    if (seen.has(name)) return `env ${name} is set twice`;
    seen.add(name);
    const check = required[name] ?? checked[name] ?? (UNSIGNED_ENV.has(name) ? anyValue : undefined);
    if (check === undefined ? !FOREIGN_ENV.includes(name) : !check(entry)) return `env ${name} is not that of the injection`;
  }
  const missing = Object.keys(required).find((name) => !seen.has(name));
  return missing === undefined ? undefined : `env ${missing} is missing`;
}

const OWN_MOUNTS: Readonly<Record<string, string>> = {
  [AGENT_VOLUMES.bundle]: BUNDLE_DIRECTORY,
  [AGENT_VOLUMES.podInfo]: POD_INFO_DIRECTORY,
  [AGENT_VOLUMES.state]: STATE_DIRECTORY,
  [AGENT_VOLUMES.noToken]: TOKEN_DIRECTORY,
  [AGENT_VOLUMES.feed]: FEED_DIRECTORY,
  [AGENT_VOLUMES.tls]: TLS_DIRECTORY,
};

/** Ours in its place, certificates in a volume of the pod, or a directory of credentials that a webhook mounts into every container. */
function isKnownMount({ name, mountPath, subPath, subPathExpr, readOnly }: Fields): boolean {
  if (subPath !== undefined || subPathExpr !== undefined) return false;
  const path = String(mountPath);
  const own = OWN_MOUNTS[String(name)];
  if (own !== undefined) return path === own;
  if (path === TLS_DIRECTORY) return readOnly === true;
  return path !== TOKEN_DIRECTORY && !path.split('/').includes('..') && FOREIGN_MOUNTS.some((prefix) => path.startsWith(prefix));
}

function missingMountOf(container: Fields): string | undefined {
  const mounted = new Set(itemsOf(container['volumeMounts']).map(({ name }) => name));
  const missing = [AGENT_VOLUMES.bundle, AGENT_VOLUMES.podInfo, AGENT_VOLUMES.state].find((name) => !mounted.has(name));
  return missing === undefined ? undefined : `volume ${missing} is not mounted`;
}

/** The bundle, the labels and the state come from where injection says, and not from a volume that another client fills. */
function faultOfVolumes(volumes: readonly Fields[]): string | undefined {
  const sources: Readonly<Record<string, (volume: Fields) => boolean>> = {
    [AGENT_VOLUMES.podInfo]: isLabelsVolume,
    [AGENT_VOLUMES.state]: ({ emptyDir }) => emptyDir !== undefined,
  };
  for (const [name, isOurs] of Object.entries(sources)) {
    const volume = volumes.find((one) => one['name'] === name);
    if (volume === undefined || !isOurs(volume)) return `volume ${name} is not that of the injection`;
  }
  return undefined;
}

function isLabelsVolume(volume: Fields): boolean {
  const [item, ...rest] = itemsOf(fieldsOf(volume['downwardAPI'])['items']);
  return rest.length === 0 && item?.['path'] === 'labels' && fieldsOf(item['fieldRef'])['fieldPath'] === 'metadata.labels';
}

function describe(container: string, fault: string | undefined): string | undefined {
  return fault === undefined ? undefined : `container ${container}: ${fault}`;
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
