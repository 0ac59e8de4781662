/*
 * Makes kubelets look at once. In: the agents' pods of a workload and the digest of its bundle. Out: one patched annotation
 * on each pod whose volume may hold an older bundle; the kubelet then refreshes the volume within moments instead of a
 * minute. Called after a bundle was written, and when a pod got its volume.
 */
import { BUNDLE_TOUCH_ANNOTATION, FIELD_MANAGER } from '../api/kube/names.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent } from '../api/kube/workload.ts';
import { patchAnnotations } from '../cluster/apply.ts';
import type { KubeClient } from '../cluster/client.ts';
import { PODS } from '../cluster/paths.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Tells agents of a workload that `digest` is published. */
export type Toucher = (pods: readonly SlimPod[], digest: string, signal: AbortSignal) => Promise<void>;

export interface ToucherOptions {
  readonly client: KubeClient;
  /** Pods patched at the same time; default 8. */
  readonly batchSize?: number;
  readonly logger: Logger;
  readonly onTouch?: (result: 'patched' | 'gone' | 'failed') => void;
}

/**
 * Pods that a touch helps: with an agent, alive, and with an address. A pod without one has no volume yet and will get the
 * newest bundle when it is mounted; one that carries the digest already was touched before.
 */
export function podsToTouch(pods: readonly SlimPod[], digest: string): readonly SlimPod[] {
  return pods.filter(
    (pod) =>
      hasAgent(pod) &&
      !isFinished(pod) &&
      pod.deletionTimestamp === undefined &&
      pod.podIP !== undefined &&
      pod.annotations[BUNDLE_TOUCH_ANNOTATION] !== digest,
  );
}

/**
 * A toucher that patches a few pods at a time.
 *
 * @returns when every pod was tried; @throws TransientError, the first one, when any pod could not be patched for a reason that may pass
 */
export function createToucher(options: ToucherOptions): Toucher {
  return async (pods, digest, signal) => {
    const waiting = [...podsToTouch(pods, digest)];
    const failures: unknown[] = [];
    const patchNext = async (): Promise<void> => {
      for (let pod = waiting.shift(); pod !== undefined && !signal.aborted; pod = waiting.shift()) {
        try {
          const ref = { resource: PODS, namespace: pod.namespace, name: pod.name };
          const found = await patchAnnotations(
            options.client,
            ref,
            { [BUNDLE_TOUCH_ANNOTATION]: digest },
            { fieldManager: FIELD_MANAGER, signal },
          );
          options.onTouch?.(found ? 'patched' : 'gone');
        } catch (error) {
          if (signal.aborted) return;
          failures.push(error);
          options.onTouch?.('failed');
          options.logger.warn({ namespace: pod.namespace, name: pod.name, err: error }, 'pod not touched, its volume will follow later');
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(options.batchSize ?? 8, waiting.length) }, patchNext));
    if (failures.length > 0) throw failures[0];
  };
}
