/*
 * `sallyport run DIR`: the pipeline with a folder at both ends, and the agents inside. In: a folder of manifests. Out: one
 * agent in front of each guarded upstream, enforcing what the folder says a moment after it was saved. No cluster.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { policyKey } from '../api/kube/keys.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { systemClock } from '../clock.ts';
import { createPipeline, wantKeys } from '../controller/pipeline.ts';
import { bundleDirectory, createDirectoryDelivery } from '../delivery/directory-delivery.ts';
import { type Finding, RefusedError } from '../errors.ts';
import { createAddressGuard } from '../jwks/address-guard.ts';
import { createJwksCache } from '../jwks/jwks-cache.ts';
import { type ClusterState, createClusterState } from '../state/cluster-state.ts';
import { type DirectorySnapshot, followDirectory } from '../state/directory.ts';
import type { ManifestFinding, Origin } from '../state/manifests.ts';
import { createWorkloadLedger, type LedgerView } from '../status/workload-ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type AgentView, createAgents } from './agents.ts';
import { readSnapshot, type SnapshotObjects } from './read-snapshot.ts';

export type { AgentView } from './agents.ts';

export interface RunOptions {
  readonly directory: string;
  /** Where bundles are written; absent: a temporary folder, removed at the end. */
  readonly stateDirectory?: string;
  readonly mesh: MeshConfig;
  readonly logger: Logger;
  /** Access log lines on standard output. */
  readonly accessLog: boolean;
  /** Called after each change of the folder was taken up. */
  readonly onChange?: (running: RunningDirectory) => void;
}

/** A policy's finding with the place of the policy in the folder. */
export interface RunFinding extends Finding {
  readonly origin: Origin | undefined;
  /** `<kind>/<namespace>/<name>`; `''` for findings of files. */
  readonly policy: string;
}

export interface RunningDirectory {
  readonly agents: () => readonly AgentView[];
  /** Policies in force. */
  readonly policies: () => number;
  /** Faults of files, of policies, and of what they compile to. */
  readonly findings: () => readonly RunFinding[];
  /** Resolves when everything has stopped; rejects when the folder could not be followed. */
  readonly stopped: Promise<void>;
}

const JWKS_LIMITS = { maxBytes: 1024 * 1024, maxRedirects: 10 } as const;
const READY_LIMIT_MS = 10_000;

/**
 * Starts everything; resolves when every agent that could start enforces a bundle (or after ten seconds: an agent without
 * one answers 503).
 *
 * @param signal aborting it stops everything; see {@link RunningDirectory.stopped}
 * @throws the system's error when the folder cannot be read; RefusedError SP_MANIFEST when a file or policy is wrong from the
 * start: there is no last good version to enforce, and to run without it would open a door
 */
export async function runDirectory(options: RunOptions, signal: AbortSignal): Promise<RunningDirectory> {
  const stateDirectory = options.stateDirectory ?? (await mkdtemp(join(tmpdir(), 'sallyport-')));
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  const clusterState = createClusterState(() => options.mesh);
  const jwksCache = createJwksCache({
    limits: { ...JWKS_LIMITS, guard: createAddressGuard([]) },
    clock: systemClock,
    random: Math.random,
    logger: options.logger,
  });
  const bundles = join(stateDirectory, 'bundles');
  const ledger = createWorkloadLedger();
  const pipeline = createPipeline({
    clusterState,
    jwksCache,
    ledger,
    delivery: await createDirectoryDelivery({ root: bundles, ledger }),
    mesh: () => options.mesh,
    clock: systemClock,
    random: Math.random,
    logger: options.logger,
  });
  const agents = createAgents({
    bundleDir: (workload) => bundleDirectory(bundles, workload),
    labelsDir: join(stateDirectory, 'labels'),
    accessLog: options.accessLog,
    logger: options.logger,
  });
  let objects: SnapshotObjects | undefined;
  let origins: ReadonlyMap<string, Origin> = new Map();
  const first = Promise.withResolvers<void>();
  // One after the other: an agent is never started twice for one workload.
  let updates: Promise<void> = Promise.resolve();
  const onSnapshot = (snapshot: DirectorySnapshot): void => {
    const taken = readSnapshot(snapshot);
    objects = taken;
    origins = originsOf(snapshot);
    applyToWorld(clusterState, taken);
    updates = updates.then(async () => {
      await agents.update(taken.guarded, stop.signal);
      first.resolve();
      options.onChange?.(running);
    });
  };
  const stopKeys = wantKeys(clusterState, jwksCache);
  const following = followDirectory({ directory: options.directory, onSnapshot }, stop.signal);
  following.catch(first.reject);
  const parts = [following, pipeline.run(stop.signal), jwksCache.run(stop.signal)];
  const finish = async (): Promise<void> => {
    const results = await Promise.allSettled(parts);
    stopKeys();
    await updates;
    await agents.stop();
    signal.removeEventListener('abort', onAbort);
    if (options.stateDirectory === undefined) await rm(stateDirectory, { recursive: true, force: true });
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };
  const running: RunningDirectory = {
    agents: agents.view,
    policies: () => [...clusterState.policies.values()].filter((entry) => entry.inForce !== undefined).length,
    findings: () => [...fileFindings(objects), ...policyFindings(clusterState, ledger, origins)],
    stopped: finish(),
  };
  running.stopped.catch(onAbort);
  try {
    await first.promise;
    refuseBadStart(clusterState, running.findings());
    await untilReady(agents.view, stop.signal);
  } catch (error) {
    stop.abort();
    await running.stopped.catch(() => undefined);
    throw error;
  }
  return running;
}

function refuseBadStart(clusterState: ClusterState, findings: readonly RunFinding[]): void {
  const inForce = (key: string): boolean => key !== '' && clusterState.policies.get(key)?.inForce !== undefined;
  const faults = findings.filter(({ severity, policy }) => severity === 'error' && !inForce(policy));
  if (faults.length === 0) return;
  const lines = faults.map(({ origin, policy, path, message }) =>
    [origin === undefined ? '' : `${origin.file}:${origin.line}`, policy, path, message].filter((part) => part !== '').join(': '),
  );
  throw new RefusedError('SP_MANIFEST', lines.join('\n'));
}

function applyToWorld(clusterState: ClusterState, objects: SnapshotObjects): void {
  // Policies before pods: a workload that appears together with its policies is never published without them.
  clusterState.replacePolicies('RequestAuthentication', objects.requestAuthentications);
  clusterState.replacePolicies('AuthorizationPolicy', objects.authorizationPolicies);
  clusterState.namespaces.replace(objects.namespaces);
  clusterState.pods.replace(objects.pods);
}

async function untilReady(view: () => readonly AgentView[], signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  const waits = (): boolean => view().some((agent) => agent.problem === undefined && agent.digest === undefined);
  while (waits() && performance.now() < deadline && !signal.aborted) await sleep(10);
}

function originsOf(snapshot: DirectorySnapshot): ReadonlyMap<string, Origin> {
  return new Map(
    snapshot.objects.map(({ object, origin }) => [
      policyKey(object.kind, object.metadata.namespace ?? 'default', object.metadata.name),
      origin,
    ]),
  );
}

function fileFindings(objects: SnapshotObjects | undefined): readonly RunFinding[] {
  return (objects?.findings ?? []).map((finding: ManifestFinding) => ({ ...finding, policy: '' }));
}

function policyFindings(clusterState: ClusterState, ledger: LedgerView, origins: ReadonlyMap<string, Origin>): readonly RunFinding[] {
  const found: RunFinding[] = [];
  const take = (key: string, findings: readonly Finding[]): void => {
    for (const finding of findings) found.push({ ...finding, policy: key, origin: origins.get(key) });
  };
  for (const entry of clusterState.policies.values()) take(entry.key, entry.findings);
  for (const { desired } of ledger.records()) {
    for (const [key, findings] of desired?.findings ?? []) take(key, findings);
  }
  return found;
}
