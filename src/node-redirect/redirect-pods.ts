/*
 * Sets the redirects of the pods of one node that wait for them. It holds no state that matters: after a restart it sees which pods still wait,
 * and pods that run keep the rules that they have.
 */
import { spawn } from 'node:child_process';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import { PODS } from '../cluster/paths.ts';
import { createReflector, type Reflector } from '../cluster/reflector.ts';
import { type StartCommand, setRedirect } from '../inject/redirect/apply-redirect.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { NodeMetrics } from '../telemetry/node-metrics.ts';
import { type EnterNamespace, listNamespaces, type NamespaceFile, readContent } from './network-namespaces.ts';
import { createPodProjection, type WaitingPod } from './node-pod.ts';
import { type Attempt, planRedirects, type ReadNamespace, type RedirectTask } from './plan-redirects.ts';

/** What {@link createNodeRedirect} works with. */
export interface NodeRedirectOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  /** Where the container runtime mounts the network namespaces of pods. */
  readonly directory: string;
  readonly enter: EnterNamespace;
  readonly logger: Logger;
  readonly metrics: NodeMetrics;
  readonly clock?: Clock;
}

/** The redirects of the pods of one node. */
export interface NodeRedirect {
  /** Readiness: undefined, or what is missing. */
  readonly check: () => string | undefined;
  /** Watches pods and sets redirects until the signal aborts. Call once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Pause between two looks at the namespaces, in milliseconds, while a pod waits; otherwise nothing is looked at. */
const LOOK_MS = 200;
/** Redirects that are set at the same time: after a reboot, all pods of a node wait. */
const MAX_AT_ONCE = 4;
/** Time between two messages about pods that still wait, in milliseconds. */
const REPORT_MS = 15_000;
const MAX_REPORTED = 10;
/** Pods per page of the list. */
const PAGE_SIZE = 20;

/** Redirects for the pods of a node; nothing happens before {@link NodeRedirect.run}. */
export function createNodeRedirect(options: NodeRedirectOptions): NodeRedirect {
  const loop = new RedirectLoop(options);
  const { client, nodeName, logger } = options;
  const reflector: Reflector = createReflector<WaitingPod>({
    client,
    resource: PODS,
    fieldSelector: `spec.nodeName=${nodeName}`,
    pageSize: PAGE_SIZE,
    project: createPodProjection((pod, reason) => logger.warn({ pod, reason }, 'pod cannot be redirected')),
    sink: {
      replace: (pods) => loop.replace(pods),
      upsert: (key, pod) => loop.upsert(key, pod),
      remove: (key) => loop.remove(key),
    },
    logger,
  });
  return {
    check: () => (reflector.hasSynced() ? undefined : 'pods not listed yet'),
    run: async (signal) => {
      await Promise.all([reflector.run(signal), loop.run(signal)]);
    },
  };
}

class RedirectLoop {
  readonly #options: NodeRedirectOptions;
  readonly #clock: Clock;
  /** Waiting pods of the node by `namespace/name`. */
  #pods = new Map<string, WaitingPod>();
  /** By the key of a namespace; only of namespaces that exist. */
  readonly #attempts = new Map<string, Attempt>();
  /** Keys of the namespaces in which a redirect is being set. */
  readonly #busy = new Set<string>();
  /** Keys of the namespaces that were reported because they have too many sockets. */
  readonly #crowded = new Set<string>();
  #nextReportMs = 0;
  #wake: () => void = () => undefined;

  constructor(options: NodeRedirectOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  replace(pods: ReadonlyMap<string, WaitingPod>): void {
    this.#pods = new Map(pods);
    this.#changed();
  }

  upsert(key: string, pod: WaitingPod): void {
    this.#pods.set(key, pod);
    this.#changed();
  }

  remove(key: string): void {
    this.#pods.delete(key);
    this.#changed();
  }

  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#wake();
    signal.addEventListener('abort', stop, { once: true });
    while (!signal.aborted) {
      if (this.#pods.size > 0) this.#look(signal);
      else this.#nextReportMs = 0;
      await this.#pause();
    }
    signal.removeEventListener('abort', stop);
  }

  #changed(): void {
    this.#options.metrics.onWaiting(this.#pods.size);
    this.#wake();
  }

  /** Until something changed; while a pod waits, not longer than {@link LOOK_MS}: nothing reports that a container has started to wait. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#pods.size > 0 ? this.#clock.after(LOOK_MS, resolve) : () => undefined;
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  #look(signal: AbortSignal): void {
    const nowMs = this.#clock.nowMs();
    const files = listNamespaces(this.#options.directory);
    const keys = new Set(files.map(({ key }) => key));
    for (const key of this.#attempts.keys()) if (!keys.has(key)) this.#attempts.delete(key);
    for (const key of this.#crowded) if (!keys.has(key)) this.#crowded.delete(key);
    const pods = [...this.#pods.values()];
    for (const task of planRedirects(pods, this.#read(files, pods), { attempts: this.#attempts, nowMs })) {
      if (this.#busy.size >= MAX_AT_ONCE || this.#busy.has(task.namespace.key)) continue;
      void this.#set(task, signal);
    }
    if (nowMs < this.#nextReportMs) return;
    // Not with the first look: most pods wait for a moment only.
    if (this.#nextReportMs > 0) this.#report(pods, files);
    this.#nextReportMs = nowMs + REPORT_MS;
  }

  #read(files: readonly NamespaceFile[], pods: readonly WaitingPod[]): readonly ReadNamespace[] {
    const wanted = new Set(pods.flatMap(({ addresses }) => addresses));
    if (wanted.size === 0) return [];
    return files.flatMap((file) => {
      try {
        const content = this.#options.enter(file.path, () => readContent(wanted));
        if (content?.isCrowded === true) this.#reportCrowded(file, content.addresses);
        return content === undefined ? [] : [{ ...file, content }];
      } catch (error) {
        // It may be gone since it was listed.
        this.#options.logger.debug({ err: error, path: file.path }, 'network namespace not read');
        return [];
      }
    });
  }

  /** Once, because its pod can keep it so. */
  #reportCrowded({ key, path }: NamespaceFile, addresses: ReadonlySet<string>): void {
    if (this.#crowded.has(key)) return;
    this.#crowded.add(key);
    this.#options.logger.warn(
      { path, addresses: [...addresses] },
      'network namespace has too many Unix sockets, its pod is not redirected',
    );
  }

  async #set({ namespace, pod }: RedirectTask, signal: AbortSignal): Promise<void> {
    const { enter, logger, metrics } = this.#options;
    const { key, path, content } = namespace;
    this.#busy.add(key);
    const start: StartCommand = (program, args) => enter(path, () => spawn(program, args));
    try {
      const plan = { redirect: pod.redirect, hasIpv6: content.hasIpv6, hasCanary: true, start };
      const programs = await setRedirect(plan, signal);
      metrics.onRedirect('set');
      logger.info({ pod: pod.name, uid: pod.uid, addresses: pod.addresses, programs }, 'inbound connections redirected');
    } catch (error) {
      if (signal.aborted) return;
      metrics.onRedirect('failed');
      logger.error({ err: error, pod: pod.name, uid: pod.uid, path }, 'inbound connections are not redirected');
    } finally {
      this.#busy.delete(key);
      const last = this.#attempts.get(key);
      const count = last?.uid === pod.uid ? last.count + 1 : 1;
      this.#attempts.set(key, { uid: pod.uid, atMs: this.#clock.nowMs(), count });
      // The next one need not wait for its turn.
      this.#wake();
    }
  }

  #report(pods: readonly WaitingPod[], files: readonly NamespaceFile[]): void {
    const { logger, directory } = this.#options;
    const names = pods.slice(0, MAX_REPORTED).map(({ name }) => name);
    const hint =
      files.length === 0 ? `no network namespace is mounted below ${directory}: is it the directory of the container runtime?` : undefined;
    logger.warn(
      { pods: names, waiting: pods.length, namespaces: files.length, ...(hint === undefined ? {} : { hint }) },
      'pods wait for their redirect',
    );
  }
}
