/*
 * The agents of `sallyport run`: one for each workload with an upstream, in this process. An agent is restarted when its addresses
 * change and stopped when its workload is removed.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type RunningAgent, startAgent } from '../agent/agent.ts';
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import type { TrustAnchor } from '../bundle/trust-anchor.ts';
import { systemClock } from '../clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { GuardedWorkload, HostPort } from './read-snapshot.ts';

/** The state of one agent, for output. */
export interface AgentView {
  readonly workload: WorkloadRef;
  /** Listen address; undefined when the agent could not start. */
  readonly listen: HostPort | undefined;
  readonly upstream: HostPort;
  /** Why the agent could not start, e.g. a port in use; undefined when it runs. */
  readonly problem: string | undefined;
  /** Digest of the active bundle; undefined before the first one, when every request gets a 503. */
  readonly digest: string | undefined;
}

/** Where the agents find and write files, and how they log. */
export interface AgentsOptions {
  /** Directory of the bundle of one workload. */
  readonly bundleDir: (workload: WorkloadRef) => string;
  /** Directory of the label files, one per workload. */
  readonly labelsDir: string;
  /** What the agents trust. */
  readonly anchor: TrustAnchor;
  /** Whether the agents write access log lines to standard output. */
  readonly accessLog: boolean;
  readonly logger: Logger;
}

/** The running agents. */
export interface Agents {
  /** Starts and stops agents until exactly these run, as far as they can. Calls must not overlap. */
  readonly update: (guarded: readonly GuardedWorkload[], signal: AbortSignal) => Promise<void>;
  readonly view: () => readonly AgentView[];
  readonly stop: () => Promise<void>;
}

interface Entry {
  readonly guarded: GuardedWorkload;
  readonly agent: RunningAgent | undefined;
  readonly problem: string | undefined;
}

const POLL_MS = 500;
const DRAIN_MS = 1000;

/** Agents; none runs before {@link Agents.update}. */
export function createAgents(options: AgentsOptions): Agents {
  const entries = new Map<string, Entry>();
  const update = async (guarded: readonly GuardedWorkload[], signal: AbortSignal): Promise<void> => {
    const wanted = new Map(guarded.map((item) => [workloadKey(item.workload), item]));
    for (const [key, entry] of entries) {
      const item = wanted.get(key);
      if (item !== undefined && sameAddresses(item, entry.guarded) && entry.agent !== undefined) continue;
      entries.delete(key);
      await entry.agent?.stop();
    }
    for (const [key, item] of wanted) {
      const labelsFile = join(options.labelsDir, item.workload.namespace, item.workload.kind, item.workload.name);
      try {
        await writeLabels(labelsFile, item.labels);
      } catch (error) {
        // With labels of before, it would choose the policies of before.
        await entries.get(key)?.agent?.stop();
        entries.set(key, failed(options, item, error));
        continue;
      }
      if (!entries.has(key)) entries.set(key, await start(options, item, { labelsFile, signal }));
    }
  };
  return {
    update,
    view: () => [...entries.values()].map(viewOf),
    stop: async () => {
      await Promise.all([...entries.values()].map(async ({ agent }) => agent?.stop()));
      entries.clear();
    },
  };
}

async function start(
  options: AgentsOptions,
  guarded: GuardedWorkload,
  context: { readonly labelsFile: string; readonly signal: AbortSignal },
): Promise<Entry> {
  const { workload, listen, upstream, acceptHttp10, reevaluateStreams, appProtocol } = guarded;
  try {
    const agent = await startAgent(
      {
        bundleDir: options.bundleDir(workload),
        workload,
        trust: { anchor: options.anchor, floor: 0, wallMs: () => systemClock.wallMs() },
        labelsFile: context.labelsFile,
        labels: undefined,
        stateDir: undefined,
        pollMs: POLL_MS,
        ports: [{ listenPort: listen.port, appPort: upstream.port }],
        listenHost: listen.host,
        appHost: upstream.host,
        destinationIp: undefined,
        blockedPort: undefined,
        admin: undefined,
        appProbes: {},
        acceptHttp10,
        reevaluateStreams,
        appProtocols: new Map([[upstream.port, appProtocol]]),
        accessLog: options.accessLog ? { fd: 1, allowSampleRate: 1 } : undefined,
        drainMs: DRAIN_MS,
        logger: options.logger.child({ workload: workloadKey(workload) }),
        processMetrics: false,
      },
      context.signal,
    );
    return { guarded, agent, problem: undefined };
  } catch (error) {
    return failed(options, guarded, error);
  }
}

function failed({ logger }: AgentsOptions, guarded: GuardedWorkload, error: unknown): Entry {
  const problem = error instanceof Error ? error.message : String(error);
  logger.error({ workload: workloadKey(guarded.workload), err: error }, 'agent could not start');
  return { guarded, agent: undefined, problem };
}

/** Writes the file in the format of the downward API, and replaces it by a rename so that an agent never reads part of it. */
async function writeLabels(file: string, labels: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const text = Object.entries(labels).map(([key, value]) => `${key}="${value}"\n`);
  await writeFile(`${file}.tmp`, text.join(''));
  await rename(`${file}.tmp`, file);
}

function sameAddresses(one: GuardedWorkload, other: GuardedWorkload): boolean {
  const text = ({ listen, upstream, acceptHttp10, reevaluateStreams, appProtocol }: GuardedWorkload): string =>
    JSON.stringify([listen, upstream, acceptHttp10, reevaluateStreams, appProtocol]);
  return text(one) === text(other);
}

function viewOf({ guarded, agent, problem }: Entry): AgentView {
  const port = agent?.ports[0];
  return {
    workload: guarded.workload,
    listen: port === undefined ? undefined : { host: guarded.listen.host, port },
    upstream: guarded.upstream,
    problem,
    digest: agent?.digest(),
  };
}
