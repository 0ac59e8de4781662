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

/** When a redirect was set, or failed, by the key of its namespace. */
export type Attempts = ReadonlyMap<string, { readonly uid: string; readonly atMs: number }>;

/** A pod that still waits this long after its redirect was set needs another one, in milliseconds: it has an address of IPv6 since, or it failed. */
export const REPEAT_MS = 2_000;

/**
 * The redirects to set now: in each namespace that has the addresses of a pod and in which an init container waits that says to be of that pod.
 * The kubelet's addresses alone may be out of date, and those of a pod that is gone may already belong to another one; what a container says
 * alone is not what the API server knows. A namespace of which only one is true is left alone.
 */
export function planRedirects(
  pods: readonly WaitingPod[],
  namespaces: readonly ReadNamespace[],
  { attempts, nowMs }: { readonly attempts: Attempts; readonly nowMs: number },
): readonly RedirectTask[] {
  return namespaces.flatMap((namespace): readonly RedirectTask[] => {
    const { addresses, waiting } = namespace.content;
    const pod = pods.find(({ uid, addresses: own }) => waiting.includes(uid) && own.length > 0 && own.every((one) => addresses.has(one)));
    if (pod === undefined) return [];
    const last = attempts.get(namespace.key);
    return last?.uid === pod.uid && nowMs - last.atMs < REPEAT_MS ? [] : [{ namespace, pod }];
  });
}
