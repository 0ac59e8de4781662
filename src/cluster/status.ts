/*
 * Writing the status of an object. In: the conditions we stand for, computed from the object as it is. Out: one merge
 * patch on the status subresource, guarded by resourceVersion, and only if something changes. Called by publish.
 */

import { type Clock, systemClock } from '../clock.ts';
import { TransientError } from '../errors.ts';
import { ifFound, readObject } from './apply.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { kubeTime } from './kube-time.ts';
import { type ObjectRef, objectPath } from './paths.ts';

/** A condition as we want it; the time of its last transition is found out here. */
export interface StatusCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase word. */
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}

/** What the status should say. Other managers' conditions and fields stay as they are. */
export interface StatusIntent {
  /** Ours, told apart from others by their type. */
  readonly conditions: readonly StatusCondition[];
  /** Types that we once wrote and that should no longer be there. */
  readonly dropTypes?: readonly string[];
  /** Other fields of the status, replaced one by one; null removes one. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

export interface StatusWrite {
  readonly ref: ObjectRef;
  readonly fieldManager: string;
  /** The status wanted for the object as just read; undefined: leave it alone. Called again after a conflict. */
  readonly intend: (current: RawObject) => StatusIntent | undefined;
  /** The object as the caller last saw it, with its status and resourceVersion: spares the first read. */
  readonly current?: RawObject;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

const ATTEMPTS = 5;

/**
 * Brings the conditions of one object up to date.
 * @returns `unchanged` when nothing had to be written (then, given `current`, nothing was sent either), `gone` when the object does not exist
 * @throws TransientError `SP_KUBE_CONFLICT` when others wrote in between five times in a row; otherwise as {@link KubeClient.request}
 */
export async function mergePatchStatus(client: KubeClient, write: StatusWrite): Promise<'updated' | 'unchanged' | 'gone'> {
  let current = write.current;
  for (let attempt = 1; ; attempt += 1) {
    current ??= await readObject(client, write.ref, write.signal);
    if (current === undefined) return 'gone';
    const patch = statusPatch(current, write);
    if (patch === undefined) return 'unchanged';
    try {
      const answer = await ifFound(
        client.request({
          method: 'PATCH',
          path: `${objectPath(write.ref)}/status`,
          query: { fieldManager: write.fieldManager },
          body: patch,
          contentType: 'application/merge-patch+json',
          ...(write.signal === undefined ? {} : { signal: write.signal }),
        }),
      );
      return answer === undefined ? 'gone' : 'updated';
    } catch (thrown) {
      if (!(thrown instanceof TransientError && thrown.code === 'SP_KUBE_CONFLICT') || attempt === ATTEMPTS) throw thrown;
      current = undefined;
    }
  }
}

function statusPatch(current: RawObject, write: StatusWrite): object | undefined {
  const intent = write.intend(current);
  if (intent === undefined) return undefined;
  const status = isRawObject(current['status']) ? current['status'] : {};
  const before = Array.isArray(status['conditions']) ? (status['conditions'] as readonly unknown[]) : [];
  const after = mergeConditions(before, intent, kubeTime((write.clock ?? systemClock).wallMs()));
  const fields = Object.entries(intent.fields ?? {}).filter(([name, value]) => !sameJson(status[name] ?? null, value));
  if (sameJson(before, after) && fields.length === 0) return undefined;
  return {
    metadata: { resourceVersion: current.metadata?.resourceVersion },
    status: { ...Object.fromEntries(fields), conditions: after },
  };
}

/**
 * The conditions after ours are merged in: each stays where it was, new ones come last, strangers' are kept untouched.
 * `lastTransitionTime` moves only when the condition's status does.
 */
export function mergeConditions(before: readonly unknown[], intent: StatusIntent, now: string): readonly unknown[] {
  const wanted = new Map(intent.conditions.map((condition) => [condition.type, condition]));
  const dropped = new Set(intent.dropTypes);
  const merged: unknown[] = [];
  for (const old of before) {
    const type = isRawObject(old) && typeof old['type'] === 'string' ? old['type'] : undefined;
    const ours = type === undefined ? undefined : wanted.get(type);
    if (ours !== undefined && isRawObject(old)) {
      const since = old['status'] === ours.status && typeof old['lastTransitionTime'] === 'string' ? old['lastTransitionTime'] : now;
      merged.push({ ...ours, lastTransitionTime: since });
      wanted.delete(ours.type);
    } else if (type === undefined || (!dropped.has(type) && !intent.conditions.some((condition) => condition.type === type))) {
      merged.push(old);
    }
  }
  for (const ours of wanted.values()) merged.push({ ...ours, lastTransitionTime: now });
  return merged;
}

/** Equal as JSON, whatever the order of an object's fields; a field that is null is as good as none, as in a merge patch. */
function sameJson(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, index) => sameJson(value, right[index]));
  }
  if (isRawObject(left) && isRawObject(right)) {
    const names = new Set([...Object.keys(left), ...Object.keys(right)]);
    return [...names].every((name) => sameJson(left[name] ?? null, right[name] ?? null));
  }
  return left === right;
}
