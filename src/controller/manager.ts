/*
 * The controller as a whole: fills the caches of this replica, contends for leadership, runs the leader's work while it
 * leads, and stops everything in the reverse order.
 */
import type { Policy } from '../api/istio/resources.ts';
import { objectKey } from '../api/kube/keys.ts';
import { fencedClient } from '../cluster/fenced-client.ts';
import { type LeaseTerm, runWithLease } from '../cluster/lease.ts';
import { createRecorder, type Recorder } from '../cluster/recorder.ts';
import type { Reflector } from '../cluster/reflector.ts';
import type { FeedSource } from '../feed-server/agent-streams.ts';
import type { PodSource } from '../feed-server/identity-table.ts';
import type { Check } from '../ops-server/health.ts';
import { type EditedPods, editedPods } from '../resolve/edited-pods.ts';
import type { FactSource } from '../webhook/fact-source.ts';
import { createAdmissionFacts } from './admission-facts.ts';
import { createFeedSource } from './feed-source.ts';
import { createGauges } from './gauges.ts';
import { InjectionEvents } from './injection-events.ts';
import type { LeaderBundles } from './leader-bundles.ts';
import { createReplica, type Replica, type ReplicaOptions, untilKeysKnown, untilSynced } from './replica.ts';
import { runTerm, type Term, type TermOptions, type TermSignals } from './term.ts';

/** Settings of the whole controller. */
export interface ManagerOptions extends ReplicaOptions, Omit<TermOptions, 'recorder' | 'injectionEvents'> {
  /** Present: only the holder of this Lease writes. Absent: this process is the only replica. */
  readonly lease?: { readonly namespace: string; readonly name: string; readonly identity: string };
  /** `reportingInstance` of events: the name of the pod. */
  readonly instance: string;
}

/** The controller of one process. */
export interface Manager {
  /** Readiness checks by name: each fails until a cache is filled. */
  readonly checks: Readonly<Record<string, Check>>;
  /** Ports of the pods that a policy would select, from the caches of this replica; undefined: not known. */
  readonly portsFor: (policy: Policy) => ReadonlySet<number> | undefined;
  /** Why a policy would be over its budget, from the caches of this replica; undefined: it would not. */
  readonly whyOverBudget: (policy: Policy) => string | undefined;
  /** The policies of each set of pods that an edit of a policy changes, from the caches of this replica. */
  readonly editedPods: (policy: Policy) => EditedPods;
  /** What admission keeps a copy of. */
  readonly facts: FactSource;
  /** What the feed serves, and where: agents hold their streams to the leader. */
  readonly feed: {
    readonly source: FeedSource;
    /** Whether the caches of this replica are filled. */
    readonly isReady: () => boolean;
    /** Pods by their addresses. */
    readonly pods: PodSource;
    /** Whether the pods are those of the API server now, as far as this replica can know. */
    readonly isCurrent: () => boolean;
    /** Address of the leader's pod; undefined: not known. */
    readonly leaderHost: () => string | undefined;
    /** What the leader sent while another replica leads. */
    readonly fromLeader: LeaderBundles;
  };
  /** Records events of this replica. */
  readonly record: Recorder['record'];
  /** True while this replica writes. */
  readonly isLeading: () => boolean;
  /** Runs until `signal` aborts; resolves when the workers have finished, the lease is released and all streams are closed. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A controller; it does nothing before {@link Manager.run}. */
export function createManager(options: ManagerOptions): Manager {
  const { logger, metrics, instance, lease } = options;
  let mayWrite = (): boolean => true;
  const client = lease === undefined ? options.client : fencedClient(options.client, () => mayWrite());
  const replica = createReplica({ ...options, client, isLeading: () => mayWrite() });
  const injectionEvents = new InjectionEvents(replica.clusterState, replica.clock, () => isSynced(replica));
  const recorder = createRecorder({ client, controller: 'sallyport.dev/controller', instance, logger });
  let isLeading = false;
  let holder = '';
  const onHolder = (present: string): void => void (holder = present);
  let term: Term | undefined;
  metrics.observe(createGauges({ ...replica, term: () => term }));

  const lead: Lead = async (signals, isHeld) => {
    isLeading = true;
    mayWrite = isHeld;
    try {
      const onTerm = (present: Term | undefined): void => {
        term = present;
      };
      await runTerm(replica, { ...options, client, recorder, injectionEvents }, { signals, onTerm });
    } finally {
      isLeading = false;
      mayWrite = () => true;
    }
  };
  return {
    checks: checksOf(replica),
    portsFor: replica.clusterState.selection.portsFor,
    whyOverBudget: replica.clusterState.whyOverBudget,
    editedPods: (policy) => editedPods(policy, replica.clusterState.selection, options.mesh.current().rootNamespace),
    facts: createAdmissionFacts(replica, options.mesh),
    feed: feedOf(replica, () => replica.clusterState.pods.get(objectKey(options.namespace, podOfIdentity(holder)))?.podIP),
    record: (event) => recorder.record(event),
    isLeading: () => isLeading,
    run: async (signal) => {
      // The leader's work reads the caches, so they outlive it.
      const ending = new AbortController();
      const background = [replica.run(ending.signal), recorder.run(ending.signal)];
      try {
        await untilSynced(replica.informers, signal);
        // Pods may have been read before the bundles of their workloads.
        replica.trustedPods.compareAgain();
        await untilKeysKnown(replica, signal);
        if (!signal.aborted) await contend(replica, { options, lead, onHolder }, signal);
      } finally {
        ending.abort();
        await Promise.all(background);
        logger.info({}, 'controller stopped');
      }
    },
  };
}

const isSynced = ({ informers }: Pick<Replica, 'informers'>): boolean => informers.every(({ reflector }) => reflector.hasSynced());

function feedOf(replica: Replica, leaderHost: () => string | undefined): Manager['feed'] {
  return {
    source: createFeedSource(replica, replica),
    isReady: () => isSynced(replica),
    pods: replica.clusterState.pods,
    isCurrent: () => replica.informers.find(({ name }) => name === 'pods')?.reflector.isWatching?.() === true,
    leaderHost,
    fromLeader: replica.fromLeader,
  };
}

/** A lease that was not renewed for this long may come from a backup, in milliseconds. */
const RENEW_AFTER_MS = 60_000;

/** Runs the work of one term. */
type Lead = (signals: TermSignals, isHeld: () => boolean) => Promise<void>;

interface Contender {
  readonly options: ManagerOptions;
  readonly lead: Lead;
  /** Called with the holder of the lease; `''`: none. */
  readonly onHolder: (holder: string) => void;
}

/** The pod in an identity of a replica: its name, `_` and a random suffix. */
function podOfIdentity(identity: string): string {
  return identity.slice(0, Math.max(0, identity.lastIndexOf('_')));
}

async function contend({ clusterState, delivery }: Replica, { options, lead, onHolder }: Contender, signal: AbortSignal): Promise<void> {
  const { client, lease, logger, metrics } = options;
  logger.info({ policies: clusterState.policies.size(), pods: clusterState.pods.size() }, 'caches are filled');
  if (lease === undefined) {
    await lead({ lost: signal, stopping: signal }, () => true);
    return;
  }
  const onChange = (leading: boolean, holder: string): void => {
    metrics.onLeader(leading);
    onHolder(holder);
    logger.info({ leading, holder }, 'leadership changed');
  };
  const start = (lost: AbortSignal, { awayMs, isHeld }: LeaseTerm): Promise<void> => {
    // No replica led for a while: the cluster may have been restored from a backup, and agents may know newer bundles than it has.
    if (awayMs > RENEW_AFTER_MS) delivery.renewAll();
    return lead({ lost, stopping: signal }, isHeld);
  };
  await runWithLease({ client, ...lease, logger, onChange }, start, signal);
}

function whyNotSynced(name: string, reflector: Reflector): string | undefined {
  const forbidden = reflector.forbidden?.() ?? [];
  if (forbidden.length > 0)
    return `no rights to read ${name} in the watched ${forbidden.length === 1 ? 'namespace' : 'namespaces'} ${forbidden.join(', ')}`;
  return reflector.hasSynced() ? undefined : `${name} not listed yet`;
}

function checksOf({ informers, keyRing }: Replica): Manager['checks'] {
  const checks = informers.map(({ name, reflector }) => [`${name}-synced`, () => whyNotSynced(name, reflector)]);
  // Missing keys are no reason to stop serving: the webhook then says what to do.
  return {
    ...Object.fromEntries(checks),
    'signing-keys': () => (keyRing.state().kind === 'waiting' ? 'signing keys not read yet' : undefined),
  };
}
