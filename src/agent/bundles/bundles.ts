/*
 * Keeps the policy of one agent active: follows the bundle's volume, the feed if there is one, and the labels of the pod.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BundleFiles } from '../../bundle/decode.ts';
import { systemClock } from '../../clock.ts';
import { watchDirectories } from '../../fs-watch/watch-directories.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { ConnectionFacts, PeerIdentity } from '../../policy/facts.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type ActivatorHost, type ActivatorOptions, BundleActivator } from './bundle-activator.ts';
import type { BundleSink } from './bundle-source.ts';
import type { FeedOptions, FeedSource } from './feed-source.ts';
import { LabelIndexVolume } from './label-index-volume.ts';
import { MountedVolume } from './mounted-volume.ts';
import { parsePodLabels } from './pod-labels.ts';

/** Where bundles and labels come from. */
export interface BundleOptions extends ActivatorOptions {
  /** Directory of the bundle. */
  readonly bundleDir: string;
  /** Downward-API file with the pod's labels; undefined: `labels` counts. */
  readonly labelsFile: string | undefined;
  /** Labels of the pod when there is no file; undefined: unknown. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Milliseconds between two reads when the file system reports no change. */
  readonly pollMs: number;
  /** Absent: bundles come through the volume only. */
  readonly feed?: FeedOptions | undefined;
}

/** Reads bundles and labels, and activates the policy for this pod. */
export class Bundles {
  readonly #options: BundleOptions;
  readonly #activator: BundleActivator;
  readonly #volume: MountedVolume;
  readonly #index: LabelIndexVolume | undefined;
  readonly #logger: Logger;
  /** Undefined: it is not followed. */
  #feed: FeedSource | undefined;
  /** What the volume is offered to. */
  readonly #sink: BundleSink;

  constructor(options: BundleOptions, host: ActivatorHost) {
    this.#options = options;
    this.#logger = host.logger;
    const reporting: ActivatorHost = {
      ...host,
      onIdentitiesNeeded: () => this.#feed?.askIdentities(),
      hasIdentities: () => this.#feed?.hasIdentities ?? false,
      onActive: (policy) => {
        host.onActive(policy);
        this.#feed?.report();
      },
      onUnmatched: () => {
        host.onUnmatched();
        this.#feed?.report();
      },
    };
    const activator = new BundleActivator(options, options.labels, reporting);
    this.#activator = activator;
    this.#sink =
      options.feed === undefined
        ? activator
        : { offer: (files) => activator.offer(files, true), onUnreadable: (error) => activator.onUnreadable(error) };
    this.#index = indexOf(options);
    this.#volume = new MountedVolume(options.bundleDir, this.#activator.fileNames);
  }

  /** Activates a first bundle: that of the volume, or the last good one of an earlier run. Never rejects. */
  async begin(): Promise<void> {
    await this.#index?.restore((error) => this.#reportIndex(error));
    this.#activator.setIndex(this.#index?.current);
    // Before the volume is read: what an earlier run accepted says which bundles are too old.
    await this.#activator.openKept();
    await this.read();
    if (!this.#activator.hasBundle) await this.#activator.restore();
  }

  /** Follows volume, feed and labels until `signal` aborts; then resolves. */
  async follow(signal: AbortSignal): Promise<void> {
    const { bundleDir, pollMs } = this.#options;
    const followVolume = watchDirectories({ directories: [bundleDir], pollMs: () => pollMs, onChange: () => this.#readVolume() }, signal);
    await Promise.all([followVolume, this.#followLabels(signal), this.#followFeed(signal)]);
    this.stop();
  }

  /** Forgets the policy that waits to become active; {@link follow} does so at its end. */
  stop(): void {
    this.#activator.identities.drop();
  }

  /** The bundle lacks a key that a token names. See {@link FeedSource.onUnknownKey} */
  onUnknownKey(keySet: string, kid: () => string): void {
    this.#feed?.onUnknownKey(keySet, kid);
  }

  /** The pod at the other end of a connection; undefined: unknown. See {@link PodIdentities} */
  identityOf(connection: ConnectionFacts): PeerIdentity | undefined {
    return this.#feed?.identities.identityOf(connection);
  }

  /** Addresses of pods whose identity is known now, and the age of the table in milliseconds; undefined: none was received. */
  get identities(): { readonly size: number; readonly ageMs: number } | undefined {
    const identities = this.#feed?.identities;
    return identities === undefined || identities.ageMs === Number.POSITIVE_INFINITY ? undefined : identities;
  }

  /** Reads labels, index and volume once; never rejects. */
  async read(): Promise<void> {
    await this.#readLabels();
    await this.#readVolume();
  }

  async #followLabels(signal: AbortSignal): Promise<void> {
    const { labelsFile, pollMs } = this.#options;
    if (labelsFile === undefined) return;
    await watchDirectories({ directories: [dirname(labelsFile)], pollMs: () => pollMs, onChange: () => this.#readLabels() }, signal);
  }

  /**
   * Reads index and bundle. The kubelet replaces both together, so neither is used without the other: the index is taken when the bundle has
   * been offered.
   */
  async #readVolume(): Promise<void> {
    const isChanged = await this.#index?.read((error) => this.#reportIndex(error));
    if (isChanged === true) this.#activator.setIndex(this.#index?.current);
    await this.#volume.read(this.#sink);
    if (isChanged === true && this.#activator.hasBundle) await this.#activator.activate();
  }

  async #followFeed(signal: AbortSignal): Promise<void> {
    const { feed, stateDir } = this.#options;
    if (feed === undefined) return;
    const loaded = await import('./feed-source.ts');
    this.#feed = new loaded.FeedSource(feed, {
      logger: this.#logger,
      limits: LIMITS,
      stateDir,
      random: Math.random,
      clock: this.#options.clock ?? systemClock,
      needsIdentities: () => this.#activator.identities.isNeeded,
      onIdentities: () => this.#activator.identities.onIdentities(),
      report: () => this.#activator.enforced,
      offer: (files) => this.#offer(files),
    });
    await this.#feed.follow(signal);
  }

  /** Takes what the feed brings: a bundle with the index that belongs to it. */
  async #offer(files: BundleFiles): Promise<void> {
    const isChanged = await this.#index?.offer(files, (error) => this.#reportIndex(error));
    if (isChanged === true) this.#activator.setIndex(this.#index?.current);
    await this.#activator.offer(files);
  }

  #reportIndex(error: unknown): void {
    this.#activator.report('the index of the namespace is rejected; the last good one stays', error);
  }

  async #readLabels(): Promise<void> {
    const { labelsFile } = this.#options;
    if (labelsFile === undefined) return;
    try {
      this.#activator.setLabels(parsePodLabels(await readFile(labelsFile, 'utf8')));
      if (this.#activator.hasBundle) await this.#activator.activate();
    } catch (error) {
      this.#activator.report('cannot read the pod labels; the last known ones stay', error);
    }
  }
}

/** The index is mounted next to the slots of the bundle; agents that trust no keys have none. */
function indexOf({ bundleDir, workload, trust, stateDir }: BundleOptions): LabelIndexVolume | undefined {
  if (trust === undefined || workload === undefined) return undefined;
  return new LabelIndexVolume({ directory: bundleDir, anchor: trust.anchor, namespace: workload.namespace, stateDir });
}
