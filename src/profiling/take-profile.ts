/*
 * Takes profiles of this process through the inspector of Node.js, from within: no port is opened, and no debugger can attach.
 * @see https://chromedevtools.github.io/devtools-protocol/v8/Profiler/
 */
import type { HeapProfiler, Profiler } from 'node:inspector';
import { Session } from 'node:inspector/promises';
import { PROFILE_LIMITS } from '../limits/profile-limits.ts';
import { pauseFor } from '../limits/timers.ts';
import type { ProfileKind } from './profile-request.ts';

/** A profile as V8 makes it. */
export type TakenProfile =
  | { readonly kind: 'cpu'; readonly ms: number; readonly profile: Profiler.Profile }
  | { readonly kind: 'heap' | 'allocs'; readonly ms: number; readonly profile: HeapProfiler.SamplingHeapProfile };

/**
 * Takes a profile; the process goes on meanwhile. Not to be called again before the promise is settled.
 * @param signal aborting it ends the profile; `undefined` then
 */
export async function takeProfile(kind: ProfileKind, ms: number, signal: AbortSignal): Promise<TakenProfile | undefined> {
  const session = new Session();
  session.connect();
  try {
    const taken = kind === 'cpu' ? await takeCpu(session, ms, signal) : await takeHeap(session, { kind, ms }, signal);
    return signal.aborted ? undefined : taken;
  } finally {
    // Also ends a profile that is not stopped.
    session.disconnect();
  }
}

async function takeCpu(session: Session, ms: number, signal: AbortSignal): Promise<TakenProfile> {
  await session.post('Profiler.enable');
  const interval = Math.max(PROFILE_LIMITS.sampleInterval.value, ms / PROFILE_LIMITS.samples.value);
  await session.post('Profiler.setSamplingInterval', { interval: Math.round(interval * 1000) });
  await session.post('Profiler.start');
  await pauseFor(PROFILE_LIMITS.profileTime, ms, signal);
  const { profile } = await session.post('Profiler.stop');
  return { kind: 'cpu', ms, profile };
}

/** With what the protocol has and its types lack. */
interface HeapSampling extends HeapProfiler.StartSamplingParameterType {
  readonly stackDepth: number;
  readonly includeObjectsCollectedByMajorGC: boolean;
  readonly includeObjectsCollectedByMinorGC: boolean;
}

async function takeHeap(
  session: Session,
  { kind, ms }: { readonly kind: 'heap' | 'allocs'; readonly ms: number },
  signal: AbortSignal,
): Promise<TakenProfile> {
  const withCollected = kind === 'allocs';
  const sampling: HeapSampling = {
    samplingInterval: (withCollected ? PROFILE_LIMITS.allocsInterval : PROFILE_LIMITS.heapInterval).value,
    stackDepth: PROFILE_LIMITS.allocationStack.value,
    includeObjectsCollectedByMajorGC: withCollected,
    includeObjectsCollectedByMinorGC: withCollected,
  };
  await session.post('HeapProfiler.startSampling', sampling);
  await pauseFor(PROFILE_LIMITS.profileTime, ms, signal);
  const { profile } = await session.post('HeapProfiler.stopSampling');
  return { kind, ms, profile };
}
