/*
 * The control plane of the soak test: a real API server, the controller as a process, a policy that changes every second, and what the
 * kubelet does with the bundle's ConfigMap.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../src/api/kube/names.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { encodeBundle } from '../../src/bundle/encode.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { restartApiServer } from '../support/api-server-restart.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { TRUST } from '../support/guarded-pods.ts';
import { openPolicyCluster, type PolicyCluster, trustOf } from '../support/policy-cluster.ts';
import { type Files, mountVolume } from '../unit/agent/bundles.ts';
import type { Versions } from './good-clients.ts';
import { FIXED_POLICIES, turned, turningSpec, versionOf } from './verdicts.ts';

const NAMESPACE = 'foo';
const WORKLOAD = 'httpbin';
const RELOAD_MS = 1000;
/** Reloads that the controller may be late with. */
const MOST_MISSING = 1.5;
const LOOK_MS = 100;
const FIRST_BUNDLE_MS = 60_000;
/** Of the bundle in a broken volume; an agent that read it may say so after the volume was repaired. */
export const BROKEN_DIGEST: string = `sha256:${'0'.repeat(64)}`;

/** A directory that an agent reads bundles from. */
export interface Volume {
  readonly directory: string;
  readonly versions: Versions;
  /** True: the volume keeps a bundle with a wrong digest instead. */
  broken: boolean;
}

/** Publishes versions and mounts their bundles. */
export class Control {
  readonly #controlPlane: ControlPlane;
  readonly #cluster: PolicyCluster;
  readonly #volumes: readonly Volume[];
  readonly #versionByDigest = new Map<string, number>();
  #controller: ControllerProcess;
  #json = '';
  #version = 0;
  #latest = 0;
  #stopped = false;
  #mounting: Promise<unknown> = Promise.resolve();
  /** Reloads by who made the bundle. */
  readonly reloads = { controller: 0, test: 0 };
  /** Reports of failures in the logs of controllers. */
  readonly surprises: string[] = [];

  private constructor(controlPlane: ControlPlane, cluster: PolicyCluster, controller: ControllerProcess, volumes: readonly Volume[]) {
    this.#controlPlane = controlPlane;
    this.#cluster = cluster;
    this.#controller = controller;
    this.#volumes = volumes;
  }

  /** Starts everything; resolves when the first bundle is mounted. */
  static async start(volumes: readonly Volume[]): Promise<Control> {
    const controlPlane = await startControlPlane();
    const cluster = await openPolicyCluster(controlPlane.kubeconfigPath);
    for (const name of [NAMESPACE, 'sallyport-system']) await cluster.namespace(name);
    for (const [kind, name, spec] of FIXED_POLICIES) await cluster.policy(kind, name, NAMESPACE, spec);
    const control = new Control(controlPlane, cluster, await startControllerOf(controlPlane), volumes);
    await until(async () => (await trustOf(cluster.client)) !== TRUST, 'the signing keys', FIRST_BUNDLE_MS);
    await cluster.pod({ namespace: NAMESPACE, name: WORKLOAD, labels: { app: WORKLOAD } });
    for (const { directory } of volumes) for (const name of ['bundle', 'state']) await mkdir(join(directory, name), { recursive: true });
    await control.#publish();
    await until(async () => control.#look(), 'the first bundle', FIRST_BUNDLE_MS);
    return control;
  }

  /** The version of a bundle; undefined: no bundle of this test has the digest. */
  versionOf(digest: string): number | undefined {
    return this.#versionByDigest.get(digest);
  }

  /** Changes the policy and mounts a new bundle every second, until `stop`. */
  async run(): Promise<void> {
    const startMs = performance.now();
    const publish = async (): Promise<void> => {
      for (let nth = 1; !this.#stopped; nth += 1) {
        await this.#publish().catch(() => {});
        await sleep(Math.max(0, startMs + nth * RELOAD_MS - performance.now()));
      }
    };
    const look = async (): Promise<void> => {
      while (!this.#stopped) {
        await this.#look().catch(() => {});
        await sleep(LOOK_MS);
      }
    };
    // The controller or the API server is slow or down: agents get new bundles all the same.
    const keepPace = async (): Promise<void> => {
      while (!this.#stopped) {
        const missing = (performance.now() - startMs) / RELOAD_MS - this.reloads.controller - this.reloads.test;
        if (missing > MOST_MISSING) await this.#mountOwn();
        await sleep(LOOK_MS);
      }
    };
    await Promise.all([publish(), look(), keepPace()]);
  }

  /** SIGKILL, then another controller. */
  async killController(): Promise<void> {
    await this.#controller.kill();
    this.#collectSurprises();
    this.#controller = await startControllerOf(this.#controlPlane);
  }

  /** SIGKILL, then the same API server again. */
  async killApiServer(): Promise<void> {
    await restartApiServer(this.#controlPlane, () =>
      this.#cluster.client.request({ method: 'GET', path: `/api/v1/namespaces/${NAMESPACE}` }),
    );
  }

  /** Makes the volume unusable, or mounts the latest bundle again. */
  async setBroken(volume: Volume, broken: boolean): Promise<void> {
    await this.#inTurn(() => {
      volume.broken = broken;
      return this.#mountInto(volume, this.#json);
    });
  }

  /** Ends `run`. */
  stop(): void {
    this.#stopped = true;
  }

  async close(): Promise<void> {
    this.#stopped = true;
    await this.#controller.stop();
    this.#collectSurprises();
    await this.#cluster.close();
    await this.#controlPlane.stop();
  }

  #collectSurprises(): void {
    for (const line of this.#controller.log) {
      const text = JSON.stringify(line);
      if (/unhandled|uncaught|InvariantError|"level":"fatal"|"result":"bug"/i.test(text)) this.surprises.push(text);
    }
  }

  async #publish(): Promise<void> {
    this.#latest += 1;
    await this.#cluster.policy('AuthorizationPolicy', 'turn', NAMESPACE, turningSpec(this.#latest));
  }

  /** Mounts the bundle of the controller if it is newer. */
  async #look(): Promise<boolean> {
    const bundle = await this.#cluster.bundle(NAMESPACE, WORKLOAD);
    const json = bundle === undefined ? '' : encodeBundle(bundle).json;
    const version = versionOf(json);
    if (version === undefined) return false;
    return await this.#inTurn(async () => {
      if (version <= this.#version) return false;
      await this.#mount(json, version);
      this.reloads.controller += 1;
      return true;
    });
  }

  async #mountOwn(): Promise<void> {
    await this.#inTurn(async () => {
      this.#latest += 1;
      const version = this.#latest;
      await this.#mount(turned(this.#json, this.#version, version), version);
      this.reloads.test += 1;
    });
  }

  /** One mount after the other. */
  #inTurn<Result>(mount: () => Promise<Result>): Promise<Result> {
    const mounted = this.#mounting.then(mount);
    this.#mounting = mounted.catch(() => {});
    return mounted;
  }

  async #mount(json: string, version: number): Promise<void> {
    this.#json = json;
    this.#version = version;
    this.#versionByDigest.set(encodeBundle(JSON.parse(json) as Bundle).digest, version);
    for (const volume of this.#volumes) await this.#mountInto(volume, json);
  }

  async #mountInto(volume: Volume, json: string): Promise<void> {
    const encoded = encodeBundle(JSON.parse(json) as Bundle);
    const files: Files = { [BUNDLE_KEY]: encoded.json, [BUNDLE_DIGEST_KEY]: volume.broken ? BROKEN_DIGEST : encoded.digest };
    // Before, because an agent may activate it as soon as it is there.
    if (!volume.broken) volume.versions.mounted = this.#version;
    await mountVolume(join(volume.directory, 'bundle'), files);
  }
}

function startControllerOf(controlPlane: ControlPlane): Promise<ControllerProcess> {
  return startController({ kubeconfig: controlPlane.kubeconfigPath, name: 'soak', namespace: 'sallyport-system', level: 'info' });
}
