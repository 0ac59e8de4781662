/*
 * The agents of `sallyport run`. In: the workloads that want one, after each change of the folder. Out: one agent running
 * for each, started, restarted when its addresses change, and stopped when its workload goes away.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type RunningAgent, startAgent } from '../agent/agent.ts';
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { GuardedWorkload, HostPort } from './read-snapshot.ts';

/** An agent as people are told of it. */
export interface AgentView {
  readonly workload: WorkloadRef;
  /** Where it listens; undefined: it could not start. */
  readonly listen: HostPort | undefined;
  readonly upstream: HostPort;
  /** Why it could not start, e.g. a taken port. */
  readonly problem: string | undefined;
  /** Digest of the bundle in force; undefined: none yet, every request is 503. */
  readonly digest: string | undefined;
}

export interface AgentsOptions {
  /** Folder of one workload's bundle. */
  readonly bundleDir: (workload: WorkloadRef) => string;
  /** Folder for the label files, one per workload. */
  readonly labelsDir: string;
  readonly accessLog: boolean;
  readonly logger: Logger;
}

export interface Agents {
  /** Makes exactly these run. Calls must not overlap. */
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

/** No agents yet. */
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
      const labelsFile = join(options.labelsDir, item.workload.namespace, item.workload.name);
      await writeLabels(labelsFile, item.labels);
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
  const { workload, listen, upstream } = guarded;
  try {
    const agent = await startAgent(
      {
        bundleDir: options.bundleDir(workload),
        workload,
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
        accessLog: options.accessLog ? { fd: 1, allowSampleRate: 1 } : undefined,
        drainMs: DRAIN_MS,
        logger: options.logger.child({ workload: workloadKey(workload) }),
        processMetrics: false,
      },
      context.signal,
    );
    return { guarded, agent, problem: undefined };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    options.logger.error({ workload: workloadKey(workload), err: error }, 'agent could not start');
    return { guarded, agent: undefined, problem };
  }
}

/** In the downward API's form, replaced as a whole so that an agent never reads half of it. */
async function writeLabels(file: string, labels: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const text = Object.entries(labels).map(([key, value]) => `${key}="${value}"\n`);
  await writeFile(`${file}.tmp`, text.join(''));
  await rename(`${file}.tmp`, file);
}

function sameAddresses(one: GuardedWorkload, other: GuardedWorkload): boolean {
  const text = ({ listen, upstream }: GuardedWorkload): string => JSON.stringify([listen, upstream]);
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
