/*
 * The bundles of one agent of a workload on a real API server. The test mounts them as the kubelet would: the listed keys of the
 * ConfigMaps of the slots, replaced as a whole.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bundles } from '../../src/agent/bundles/bundles.ts';
import type { WorkloadRef } from '../../src/api/kube/keys.ts';
import { slotName } from '../../src/api/kube/workload.ts';
import { SLOT_FILES } from '../../src/bundle/slots.ts';
import { parseTrustAnchor } from '../../src/bundle/trust-anchor.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import type { Program } from '../../src/policy/model/program.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { mountVolume } from '../unit/agent/bundles.ts';
import { httpChain } from '../unit/filters/chains.ts';

export interface MountedAgent {
  /** Mounts what the API server has now, and lets the agent read it. */
  readonly sync: () => Promise<void>;
  /** Starts the agent again with the state that it kept. */
  readonly restart: () => Promise<void>;
  /** Names of the policies with a rule in the active program; undefined: no bundle is active. */
  readonly rules: () => readonly string[] | undefined;
  /** Codes of refused bundles so far. */
  readonly refused: readonly string[];
  readonly close: () => Promise<void>;
}

/** @param anchor as injection writes it, at the time of this call */
export async function mountAgent(
  configMap: (namespace: string, name: string) => Promise<RawObject | undefined>,
  workload: WorkloadRef,
  anchor: string,
): Promise<MountedAgent> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-mounted-'));
  const [bundleDir, stateDir] = [join(directory, 'bundle'), join(directory, 'state')];
  await mkdir(bundleDir);
  await mkdir(stateDir);
  const refused: string[] = [];
  let active: Program | undefined;
  const chain = httpChain(() => {
    throw new Error('not asked');
  });
  const create = (): Bundles =>
    new Bundles(
      {
        bundleDir,
        stateDir,
        workload,
        labelsFile: undefined,
        labels: { app: workload.name },
        pollMs: 1_000,
        trust: { anchor: parseTrustAnchor(anchor), floor: 0, wallMs: () => Date.now() },
      },
      {
        logger: createLogger({ level: 'silent', component: 'test' }),
        *createFilterChain(program) {
          active = program;
          yield;
          return chain;
        },
        onActive: () => undefined,
        onUnmatched: () => undefined,
        onRejected: (code) => refused.push(code),
      },
    );
  let bundles = create();
  const mount = async (): Promise<void> => {
    const files: Record<string, Buffer> = {};
    for (let slot = 0; slot < 3; slot += 1) {
      const raw = await configMap(workload.namespace, slotName(workload, slot));
      const data = (raw?.['data'] ?? {}) as Readonly<Record<string, string>>;
      const binary = (raw?.['binaryData'] ?? {}) as Readonly<Record<string, string>>;
      for (const name of SLOT_FILES) {
        if (data[name] !== undefined) files[`${slot}/${name}`] = Buffer.from(data[name]);
        if (binary[name] !== undefined) files[`${slot}/${name}`] = Buffer.from(binary[name], 'base64');
      }
    }
    await mountVolume(bundleDir, files);
  };
  await mount();
  await bundles.begin();
  return {
    sync: async () => {
      await mount();
      await bundles.read();
    },
    restart: async () => {
      active = undefined;
      bundles = create();
      await bundles.begin();
    },
    rules: () =>
      active === undefined ? undefined : [...active.http.deny.rules, ...active.http.allow.rules].map(({ source }) => source.name),
    refused,
    close: () => rm(directory, { recursive: true }),
  };
}
