/*
 * Decides in which network namespaces a redirect is set. Pure.
 */
import type { NamespaceContent, NamespaceFile } from './network-namespaces.ts';
import type { WaitingPod } from './node-pod.ts';

/** A network namespace with something in it that pods wait for. */
export interface ReadNamespace extends NamespaceFile {
  readonly content: NamespaceContent;
}

/** A redirect to set. */
export interface RedirectTask {
  readonly namespace: ReadNamespace;
  readonly pod: WaitingPod;
}

/** Redirects of a pod that were set, or failed, in one namespace. */
export interface Attempt {
  readonly uid: string;
  /** When the last one ended. */
  readonly atMs: number;
  /** From 1. */
  readonly count: number;
}

/** By the key of the namespace. */
export type Attempts = ReadonlyMap<string, Attempt>;

/** A pod that still waits this long after its redirect was set needs another one, in milliseconds: it has an address of IPv6 since, or it failed. */
export const REPEAT_MS = 2_000;
/** The pause doubles each time up to this, in milliseconds: a pod may say forever that it waits. */
export const MAX_REPEAT_MS = 60_000;

/**
 * The redirects to set now: in each namespace that has the addresses of a pod and in which an init container waits that says to be of that pod.
 * The kubelet's addresses alone may be out of date, and those of a pod that is gone may already belong to another one; what a container says
 * alone is not what the API server knows. A namespace of which only one is true is left alone.
 *
 * @returns first those in namespaces without an attempt, then the others, beginning with the oldest attempt: so that those which fail or take
 *   long do not keep others waiting
 */
export function planRedirects(
  pods: readonly WaitingPod[],
  namespaces: readonly ReadNamespace[],
  { attempts, nowMs }: { readonly attempts: Attempts; readonly nowMs: number },
): readonly RedirectTask[] {
  const tasks = namespaces.flatMap((namespace): readonly RedirectTask[] => {
    const { addresses, waiting } = namespace.content;
    const pod = pods.find(({ uid, addresses: own }) => waiting.includes(uid) && own.length > 0 && own.every((one) => addresses.has(one)));
    if (pod === undefined) return [];
    const last = attempts.get(namespace.key);
    return last?.uid === pod.uid && nowMs - last.atMs < pauseOf(last) ? [] : [{ namespace, pod }];
  });
  const lastMs = ({ namespace }: RedirectTask): number => attempts.get(namespace.key)?.atMs ?? 0;
  return tasks.sort((one, other) => lastMs(one) - lastMs(other));
}

function pauseOf({ count }: Attempt): number {
  return Math.min(MAX_REPEAT_MS, REPEAT_MS * 2 ** (count - 1));
}
