/*
 * What every replica keeps up to date, leading or not: cluster state, workload ledger and key cache, filled by informers and
 * fetches. It reads only, so that a standby can lead immediately with all it needs to know.
 */
import { parseWorkloadKey } from '../api/kube/keys.ts';
import { type AgentRules, ANY_AGENT_IMAGE } from '../api/kube/pod-agent.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import { type ListAll, listInCluster } from '../cluster/list-objects.ts';
import { WatchedNamespaces } from '../cluster/watched-namespaces.ts';
import { createBudgets } from '../compile/budgets.ts';
import { type ConfigMapDelivery, createConfigMapDelivery } from '../delivery/config-map-delivery.ts';
import type { ConfigMapDeliveryOptions } from '../delivery/delivery-parts.ts';
import { DocumentWatch } from '../delivery/document-watch.ts';
import { createLabelIndexStore, type LabelIndexStore } from '../delivery/label-index-store.ts';
import { createLastGoodConfigMaps } from '../delivery/last-good-config-maps.ts';
import type { LastGoodStore } from '../delivery/last-good-store.ts';
import type { PublishedCopies } from '../delivery/published-copies.ts';
import { createRelayedFiles, type RelayedFiles } from '../delivery/relayed-files.ts';
import type { FetchLimits } from '../jwks/fetch-document.ts';
import { createJwksCache, type JwksCache } from '../jwks/jwks-cache.ts';
import { clusterReader } from '../keys/cluster-id.ts';
import { createKeyRing, type KeyRing } from '../keys/key-ring.ts';
import { secretKeyStore } from '../keys/key-store.ts';
import { type ClusterState, createClusterState } from '../state/cluster-state.ts';
import type { AgentReports } from '../status/agent-reports.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../status/workload-ledger.ts';
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { HeldParts } from './held-parts.ts';
import { createInformers, type Informer } from './informers.ts';
import { recallLastGood } from './keep-last-good.ts';
import type { KeyServers } from './key-servers.ts';
import { LeaderBundles } from './leader-bundles.ts';
import { wantKeys } from './pipeline.ts';
import { createTrustedPods, type TrustedPods } from './trusted-pods.ts';

/** Mesh-wide settings that may change while the process runs. */
export interface MeshSource {
  readonly current: () => MeshConfig;
  /** Calls `listener` after each change. @returns a function that ends the subscription */
  readonly subscribe: (listener: () => void) => () => void;
}

/** Parts and settings of a replica. */
export interface ReplicaOptions {
  readonly client: KubeClient;
  readonly mesh: MeshSource;
  readonly metrics: ControllerMetrics;
  readonly logger: Logger;
  readonly jwks: {
    readonly limits: FetchLimits;
    readonly refreshMs: number;
    /** Whose settings `limits` has; absent: none. */
    readonly servers?: KeyServers;
  };
  /** Namespace of the controller, which holds the signing keys. */
  readonly namespace: string;
  /** Age at which a signing key is replaced, and time between two reads of the keys, in milliseconds; absent: the defaults of the key ring. */
  readonly keys?: { readonly rotationAgeMs?: number; readonly refreshMs?: number };
  /** Which containers count as agents; absent: those with any image. */
  readonly agentRules?: AgentRules;
  /** Namespaces to read, the root namespace among them; absent: the whole cluster. */
  readonly watchNamespaces?: readonly string[];
  /** Whether this process certainly leads now; absent: it is the only one. */
  readonly isLeading?: () => boolean;
  /** What agents report over the feed; absent: there is no feed. */
  readonly agents?: AgentReports;
  /** Absent: the system clock. */
  readonly clock?: Clock;
  /** Uniform in [0, 1); absent: Math.random. */
  readonly random?: () => number;
}

/** The caches of one replica and the parts that fill them. */
export interface Replica {
  readonly clock: Clock;
  readonly random: () => number;
  /** Lists what this process may read. */
  readonly list: ListAll;
  readonly clusterState: ClusterState;
  readonly ledger: WorkloadLedger<PublishedCopies>;
  readonly jwksCache: JwksCache;
  readonly delivery: ConfigMapDelivery;
  readonly keyRing: KeyRing;
  readonly trustedPods: TrustedPods;
  readonly informers: readonly Informer[];
  readonly lastGoodStore: LastGoodStore;
  readonly labelIndexStore: LabelIndexStore;
  /** Absent: there is no feed. */
  readonly agents?: AgentReports;
  /** Files for the feed. */
  readonly relayed: RelayedFiles;
  /** What agents with a feed have already. */
  readonly held: HeldParts;
  /** Bundles for the feed while another replica leads. */
  readonly fromLeader: LeaderBundles;
  /** Keeps everything up to date until `signal` aborts; resolves when all requests have ended. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A replica that knows nothing yet; it reads nothing before {@link Replica.run}. */
export function createReplica(options: ReplicaOptions): Replica {
  const { client, mesh, metrics, logger, agentRules = ANY_AGENT_IMAGE, clock = systemClock, random = Math.random } = options;
  const clusterState = createClusterState(mesh.current, { budgets: createBudgets(mesh.current) });
  const ledger = createWorkloadLedger<PublishedCopies>();
  const namespaces = namespacesOf(options);
  const list = namespaces?.list ?? listInCluster(client);
  const [relayed, held] = [createRelayedFiles(client, options.agents?.isLeading), new HeldParts()];
  const feed = options.agents === undefined ? undefined : { relayed, held };
  const { keyRing, delivery } = createSigning({ ...options, clock }, { ledger, informers: () => informers, namespaces, feed });
  const wallMs = (): number => clock.wallMs();
  const trustedPods = createTrustedPods({ pods: clusterState.pods, signer: keyRing.signer, numberOf: delivery.numberOf, wallMs });
  keyRing.subscribe(trustedPods.compareAgain);
  const jwksCache = createKeyCache({ ...options, clock, random });
  const documents = new DocumentWatch(clock, delivery.reportTampering);
  const lastGoodStore = createLastGoodConfigMaps({ client, list, signer: keyRing.signer, wallMs, logger, documents });
  const informers: readonly Informer[] = createInformers({
    client,
    clusterState,
    delivery,
    documents,
    podSink: trustedPods.sink,
    agentRules,
    ...(namespaces === undefined ? {} : { namespaces }),
    logger,
    onRestart: metrics.onWatchRestart,
  });
  return {
    clock,
    random,
    list,
    clusterState,
    ledger,
    jwksCache,
    delivery,
    keyRing,
    trustedPods,
    informers,
    lastGoodStore,
    labelIndexStore: createLabelIndexStore({
      client,
      list,
      signer: keyRing.signer,
      wallMs,
      documents,
      ...(feed === undefined ? {} : { onFiles: relayed.putIndex }),
    }),
    ...(options.agents === undefined ? {} : { agents: options.agents }),
    relayed,
    held,
    fromLeader: new LeaderBundles((workload) => delivery.numberOf(parseWorkloadKey(workload)), held),
    run: async (signal) => {
      // First, so that bundles are verified as they are read.
      await keyRing.refresh(signal);
      await recallLastGood({ store: lastGoodStore, clusterState, clock, logger }, signal);
      const unsubscribes = [wantKeys(clusterState, jwksCache), mesh.subscribe(clusterState.decideVersions)];
      const mirroring = informers.map(({ reflector }) => reflector.run(signal));
      await Promise.all([...mirroring, runKeyCache(jwksCache, options.jwks.servers, signal), keyRing.run(signal)]);
      for (const unsubscribe of unsubscribes) unsubscribe();
    },
  };
}

function createKeyCache({ jwks, clock, random, logger, metrics }: ReplicaOptions & Pick<Replica, 'clock' | 'random'>): JwksCache {
  const { limits, refreshMs } = jwks;
  return createJwksCache({
    limits,
    refreshMs,
    clock,
    random,
    logger: logger.child({ part: 'jwks' }),
    observer: { onFetch: metrics.onKeyFetch },
  });
}

/** Fetches begin when settings of servers are complete. */
async function runKeyCache(cache: JwksCache, servers: KeyServers | undefined, signal: AbortSignal): Promise<void> {
  const running = servers?.run(signal);
  await servers?.whenRead(signal);
  servers?.subscribe(cache.refetchAll);
  await Promise.all([cache.run(signal), running]);
}

function namespacesOf({ client, mesh, logger, watchNamespaces }: ReplicaOptions): WatchedNamespaces | undefined {
  if (watchNamespaces === undefined) return undefined;
  return new WatchedNamespaces({ client, namespaces: watchNamespaces, root: mesh.current().rootNamespace, logger });
}

interface SigningParts extends Pick<Replica, 'ledger'> {
  readonly informers: () => Replica['informers'];
  /** Undefined: the whole cluster is read. */
  readonly namespaces: WatchedNamespaces | undefined;
  /** Keeps what is signed; undefined: there is no feed. */
  readonly feed: Pick<Replica, 'relayed' | 'held'> | undefined;
}

/** The keys, and the delivery that signs with them. */
function createSigning(
  { client, namespace, metrics, logger, clock, keys, isLeading }: ReplicaOptions & Required<Pick<ReplicaOptions, 'clock'>>,
  { ledger, informers, namespaces, feed }: SigningParts,
): Pick<Replica, 'keyRing' | 'delivery'> {
  const keyRing = createKeyRing({
    store: secretKeyStore(client, namespace),
    cluster: clusterReader(client),
    hasBundles: () => {
      if (!informers().every(({ reflector }) => reflector.hasSynced())) return undefined;
      // There may be some in a namespace that cannot be read.
      return delivery.hasBundles() || (namespaces?.isComplete() === false ? undefined : false);
    },
    clock,
    logger: logger.child({ part: 'keys' }),
    ...keys,
  });
  const delivery = createConfigMapDelivery({
    client,
    ledger,
    signer: keyRing.signer,
    clock,
    logger: logger.child({ part: 'delivery' }),
    onTampered: metrics.onTampered,
    ...(isLeading === undefined ? {} : { isLeading }),
    ...(feed === undefined ? {} : keepForFeed(feed)),
  });
  keyRing.subscribe(delivery.onKeysChanged);
  return { keyRing, delivery };
}

function keepForFeed({
  relayed,
  held,
}: Pick<Replica, 'relayed' | 'held'>): Pick<ConfigMapDeliveryOptions, 'onSigned' | 'onVerified' | 'onWithdrawn'> {
  return {
    onSigned: (key, bundle) => {
      relayed.putBundle(key, bundle);
      held.put(key, bundle.number, bundle.chunks);
    },
    onVerified: (key, number, chunks) => held.put(key, number, chunks),
    onWithdrawn: (key) => {
      relayed.delete(key);
      held.delete(key);
    },
  };
}

/** Resolves when every informer has listed its resource once, or when `signal` aborts. */
export async function untilSynced(informers: readonly Informer[], signal: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([stopped, Promise.all(informers.map(({ reflector }) => reflector.whenSynced))]);
}

/** Resolves when it is known whether there are signing keys, or when `signal` aborts. */
export async function untilKeysKnown({ keyRing }: Pick<Replica, 'keyRing'>, signal: AbortSignal): Promise<void> {
  if (keyRing.state().kind !== 'waiting' || signal.aborted) return;
  const known = Promise.withResolvers<void>();
  const unsubscribe = keyRing.subscribe(known.resolve);
  signal.addEventListener('abort', () => known.resolve(), { once: true });
  // Now that it is known whether there are bundles, keys may be made.
  await keyRing.refresh(signal);
  if (keyRing.state().kind === 'waiting') await known.promise;
  unsubscribe();
}
