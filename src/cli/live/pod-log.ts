/*
 * The log of a container, as the API server streams it from a kubelet.
 */
import type { SlimPod } from '../../api/kube/slim.ts';
import { errorOfDeadline, errorOfTransport } from '../../cluster/api-error.ts';
import type { KubeClient, KubeRequest } from '../../cluster/client.ts';
import { objectPath, PODS } from '../../cluster/paths.ts';

/** Which log to read, and how. */
export interface PodLogRequest {
  readonly pod: Pick<SlimPod, 'namespace' | 'name'>;
  readonly query: NonNullable<KubeRequest['query']>;
  /** The longest time without a byte; undefined: a log that is followed may be silent. */
  readonly maxSilenceMs: number | undefined;
}

/** A kubelet that has more to send does not wait for longer. */
export const MAX_SILENCE_MS = 10_000;

/**
 * Yields the bytes until the log ends or `signal` is aborted.
 * @throws like `KubeClient.stream`; TransientError SP_KUBE_API when the connection breaks, SP_TIMEOUT when it is silent for too long
 */
export async function* readPodLog(
  client: KubeClient,
  { pod: { namespace, name }, query, maxSilenceMs }: PodLogRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const request = { method: 'GET', path: `${objectPath({ resource: PODS, namespace, name })}/log`, query, accept: '*/*' } as const;
  const silent = new AbortController();
  const watchSilence = (): NodeJS.Timeout | undefined =>
    maxSilenceMs === undefined ? undefined : setTimeout(() => silent.abort(), maxSilenceMs);
  const { body } = await client.stream({ ...request, signal: AbortSignal.any([signal, silent.signal]) });
  let timer = watchSilence();
  try {
    for await (const chunk of body) {
      clearTimeout(timer);
      yield chunk;
      timer = watchSilence();
    }
  } catch (thrown) {
    signal.throwIfAborted();
    throw silent.signal.aborted ? errorOfDeadline(request, maxSilenceMs ?? 0) : errorOfTransport(request, thrown);
  } finally {
    clearTimeout(timer);
  }
}
