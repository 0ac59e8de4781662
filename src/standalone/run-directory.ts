/*
 * `sallyport run DIR`: the pipeline of the controller with a directory of manifests as its source and a directory of bundles as
 * its delivery, and the agents in the same process. No cluster is involved.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyServer } from '../api/key-servers.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { parseTrustAnchor } from '../bundle/trust-anchor.ts';
import { systemClock } from '../clock.ts';
import { createBudgets } from '../compile/budgets.ts';
import { keepLastGood, recallLastGood } from '../controller/keep-last-good.ts';
import { createPipeline, type Pipeline, wantKeys } from '../controller/pipeline.ts';
import { bundleDirectory, createDirectoryDelivery } from '../delivery/directory-delivery.ts';
import { createLastGoodFiles } from '../delivery/last-good-files.ts';
import type { LastGoodStore } from '../delivery/last-good-store.ts';
import { RefusedError } from '../errors.ts';
import { type FetchSettings, readFetchLimits } from '../jwks/fetch-limits.ts';
import { createJwksCache, type JwksCache } from '../jwks/jwks-cache.ts';
import { staticServers } from '../jwks/server-settings.ts';
import { createKeyRing, type KeyRing } from '../keys/key-ring.ts';
import { fileKeyStore } from '../keys/key-store.ts';
import { type ClusterState, createClusterState } from '../state/cluster-state.ts';
import { type DirectorySnapshot, followDirectory } from '../state/directory.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../status/workload-ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Agents, type AgentView, createAgents } from './agents.ts';
import { readSnapshot, type SnapshotObjects } from './read-snapshot.ts';
import { type FindingSources, originsOf, type RunFinding, requireValidStart, runFindings } from './run-findings.ts';

export type { AgentView } from './agents.ts';
export type { RunFinding } from './run-findings.ts';

/** What to run. */
export interface RunOptions {
  /** Directory of the manifests. */
  readonly directory: string;
  /** Directory for bundles and label files; absent: a temporary directory, removed at the end. */
  readonly stateDirectory?: string;
  readonly mesh: MeshConfig;
  /** How keys are fetched; absent: every 20 minutes, also from this machine, with the authorities of Node.js. */
  readonly jwks?: FetchSettings & { readonly refreshMs: number; readonly servers?: readonly KeyServer[] };
  readonly logger: Logger;
  /** Whether the agents write access log lines to standard output. */
  readonly accessLog: boolean;
  /** Called after each change of the directory, once the agents are updated. */
  readonly onChange?: (running: RunningDirectory) => void;
}

/** A running directory; every member returns the current state. */
export interface RunningDirectory {
  readonly agents: () => readonly AgentView[];
  /** Number of policies with an active version. */
  readonly policies: () => number;
  /** Findings of files, of policies, and of compiling them. */
  readonly findings: () => readonly RunFinding[];
  /** Number of snapshots of the directory that were applied. */
  readonly snapshots: () => number;
  /** Resolves when everything has stopped; rejects when the directory could not be followed. */
  readonly stopped: Promise<void>;
}

/** In place of the UID of a cluster. */
const LOCAL_CLUSTER = 'local';
const DEFAULT_JWKS = { refreshMs: 20 * 60_000, blockedCidrs: [], servers: [] } as const;
const READY_LIMIT_MS = 10_000;

interface Parts {
  readonly clusterState: ClusterState;
  readonly jwksCache: JwksCache;
  readonly ledger: WorkloadLedger;
  readonly lastGoodStore: LastGoodStore;
  readonly keyRing: KeyRing;
  readonly pipeline: Pipeline;
  readonly agents: Agents;
}

/**
 * Starts everything; resolves when every agent that could start enforces a bundle, at the latest after ten seconds: an agent without
 * a bundle responds with 503.
 *
 * @param signal aborting it stops everything; see {@link RunningDirectory.stopped}
 * @throws Error of the system when the directory cannot be read; RefusedError SP_MANIFEST when a file or policy is invalid at the
 * start, because it has no last valid version to enforce and running without it would allow what it denies
 */
export async function runDirectory(options: RunOptions, signal: AbortSignal): Promise<RunningDirectory> {
  const stateDirectory = options.stateDirectory ?? (await mkdtemp(join(tmpdir(), 'sallyport-')));
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  const parts = await createParts(options, stateDirectory, stop.signal);
  const { clusterState, agents } = parts;
  const updates = createUpdates(parts, stop.signal, () => options.onChange?.(running));
  const work = start(options, { parts, updates, signal: stop.signal });
  const finish = async (): Promise<void> => {
    const error = await work.catch((reason: unknown) => ({ reason }));
    await updates.idle();
    await agents.stop();
    signal.removeEventListener('abort', onAbort);
    if (options.stateDirectory === undefined) await rm(stateDirectory, { recursive: true, force: true });
    if (error !== undefined) throw error.reason;
  };
  const running: RunningDirectory = {
    agents: agents.view,
    policies: () => [...clusterState.policies.values()].filter((entry) => entry.active !== undefined).length,
    findings: () => runFindings({ ...parts, ...updates.latest() }),
    snapshots: updates.count,
    stopped: finish(),
  };
  running.stopped.catch(onAbort);
  try {
    await updates.first;
    requireValidStart(clusterState, running.findings());
    await untilReady(agents.view, stop.signal);
  } catch (error) {
    stop.abort();
    await running.stopped.catch(() => undefined);
    throw error;
  }
  return running;
}

async function createParts(options: RunOptions, stateDirectory: string, signal: AbortSignal): Promise<Parts> {
  const { mesh, jwks = DEFAULT_JWKS, logger, accessLog } = options;
  const shared = { clock: systemClock, random: Math.random, logger };
  const clusterState = createClusterState(() => mesh, { source: 'manifest', budgets: createBudgets(() => mesh) });
  const limits = { ...(await readFetchLimits({ ...jwks, isLocal: true })), serverOf: staticServers(jwks.servers ?? []) };
  const jwksCache = createJwksCache({ ...shared, refreshMs: jwks.refreshMs, limits });
  const root = join(stateDirectory, 'bundles');
  const ledger = createWorkloadLedger();
  const keyRing = createKeyRing({
    ...shared,
    store: fileKeyStore(join(stateDirectory, 'keys.json')),
    cluster: () => Promise.resolve(LOCAL_CLUSTER),
    // Agents of this process trust the keys that it finds or makes.
    hasBundles: () => false,
  });
  await keyRing.refresh(signal);
  const state = keyRing.state();
  if (state.kind !== 'ready') throw new RefusedError('SP_KEYS_INVALID', `${join(stateDirectory, 'keys.json')}: ${state.message}`);
  const delivery = await createDirectoryDelivery({ root, ledger, signer: keyRing.signer, clock: systemClock });
  return {
    clusterState,
    jwksCache,
    ledger,
    lastGoodStore: createLastGoodFiles(join(stateDirectory, 'last-valid')),
    keyRing,
    pipeline: createPipeline({ ...shared, isLocal: true, clusterState, jwksCache, ledger, delivery, mesh: () => mesh }),
    agents: createAgents({
      bundleDir: (workload) => bundleDirectory(root, workload),
      labelsDir: join(stateDirectory, 'labels'),
      anchor: parseTrustAnchor(state.signer.anchor),
      accessLog,
      logger,
    }),
  };
}

interface Updates {
  readonly onSnapshot: (snapshot: DirectorySnapshot) => void;
  /** Resolves when the agents of the first snapshot are started; rejects with the error given to `fail` before that. */
  readonly first: Promise<void>;
  readonly fail: (error: unknown) => void;
  /** Findings of files and positions of the last snapshot. */
  readonly latest: () => Pick<FindingSources, 'ofFiles' | 'origins'>;
  /** Number of snapshots so far. */
  readonly count: () => number;
  /** Resolves when no update of agents is in progress. */
  readonly idle: () => Promise<void>;
}

/** Applies snapshots to the cluster state and the agents. */
function createUpdates({ clusterState, agents }: Parts, signal: AbortSignal, onUpdated: () => void): Updates {
  const first = Promise.withResolvers<void>();
  let latest: ReturnType<Updates['latest']> = { ofFiles: [], origins: new Map() };
  // Sequential, so that an agent is never started twice for one workload.
  let updates: Promise<void> = Promise.resolve();
  let count = 0;
  return {
    count: () => count,
    onSnapshot: (snapshot) => {
      count += 1;
      const objects = readSnapshot(snapshot);
      latest = { ofFiles: objects.findings, origins: originsOf(snapshot.objects) };
      applyTo(clusterState, objects);
      updates = updates.then(async () => {
        await agents.update(objects.guarded, signal);
        first.resolve();
        onUpdated();
      });
    },
    first: first.promise,
    fail: first.reject,
    latest: () => latest,
    idle: () => updates,
  };
}

/** Runs until `signal` aborts or the directory can no longer be followed. @throws the first error of a part, once all have ended */
async function start(
  options: RunOptions,
  { parts, updates, signal }: { readonly parts: Parts; readonly updates: Updates; readonly signal: AbortSignal },
): Promise<undefined> {
  const { clusterState, jwksCache, keyRing, pipeline } = parts;
  const stopWanting = wantKeys(clusterState, jwksCache);
  const stopRenewing = keyRing.subscribe(pipeline.renew);
  const lastGood = { store: parts.lastGoodStore, clusterState, clock: systemClock, logger: options.logger };
  await recallLastGood(lastGood, signal);
  const following = followDirectory({ directory: options.directory, onSnapshot: updates.onSnapshot }, signal);
  following.catch(updates.fail);
  const results = await Promise.allSettled([
    following,
    pipeline.run(signal),
    jwksCache.run(signal),
    keepLastGood(lastGood, signal),
    keyRing.run(signal),
  ]);
  stopWanting();
  stopRenewing();
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function applyTo(clusterState: ClusterState, objects: SnapshotObjects): void {
  // Policies before pods: a workload that appears together with its policies is never published without them.
  clusterState.replacePolicies('RequestAuthentication', objects.requestAuthentications);
  clusterState.replacePolicies('AuthorizationPolicy', objects.authorizationPolicies);
  clusterState.namespaces.replace(objects.namespaces);
  clusterState.pods.replace(objects.pods);
}

async function untilReady(view: () => readonly AgentView[], signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  const isWaiting = (): boolean => view().some((agent) => agent.problem === undefined && agent.digest === undefined);
  while (isWaiting() && performance.now() < deadline && !signal.aborted) await sleep(10);
}
