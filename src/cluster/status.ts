/*
 * Writes the status of an object as a merge patch on the status subresource, guarded by its resourceVersion, and only if
 * something changes.
 */

import { type Clock, systemClock } from '../clock.ts';
import { TransientError } from '../errors.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { kubeTime } from './kube-time.ts';
import { ifFound, readObject } from './objects.ts';
import { type ObjectRef, objectPath } from './paths.ts';

/** A desired condition, without `lastTransitionTime`, which is computed when it is written. */
export interface StatusCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** Reason in CamelCase. */
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}

/** The desired status. Conditions and fields of other managers are kept. */
export interface StatusIntent {
  /** Our conditions, identified by their type. */
  readonly conditions: readonly StatusCondition[];
  /** Types of our former conditions to remove. */
  readonly dropTypes?: readonly string[];
  /** Further fields of the status to replace; null removes a field. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** A write of the status of one object. */
export interface StatusWrite {
  readonly ref: ObjectRef;
  readonly fieldManager: string;
  /** Computes the desired status from the current object; undefined: write nothing. Called again after a conflict. */
  readonly intend: (current: RawObject) => StatusIntent | undefined;
  /** The object as the caller last saw it, with status and resourceVersion; saves the first read. */
  readonly current?: RawObject;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

const ATTEMPTS = 5;

/**
 * Updates the conditions of one object if they differ from the desired ones.
 * @returns `unchanged` if nothing was written (given `current`, no request was sent either), `gone` if the object does not exist
 * @throws TransientError `SP_KUBE_CONFLICT` after five conflicts in a row; otherwise like {@link KubeClient.request}
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
          lane: 'status',
          discard: true,
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
  const fields = Object.entries(intent.fields ?? {}).filter(([name, value]) => !sameMember(name, status[name], value));
  if (sameJson(before, after) && fields.length === 0) return undefined;
  return {
    metadata: { resourceVersion: current.metadata?.resourceVersion },
    status: { ...Object.fromEntries(fields), conditions: after },
  };
}

/**
 * Merges our conditions into the existing ones: each keeps its position, new ones come last, those of other managers are
 * unchanged. `lastTransitionTime` changes only with the status of the condition.
 * @param now current time in the format of {@link kubeTime}
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

/** Whether both are equal as JSON, regardless of the order of fields. A null field equals an absent one, like in a merge patch. */
function sameJson(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, index) => sameJson(value, right[index]));
  }
  if (isRawObject(left) && isRawObject(right)) {
    const names = new Set([...Object.keys(left), ...Object.keys(right)]);
    return [...names].every((name) => sameMember(name, left[name], right[name]));
  }
  return left === right;
}

/**
 * An istiod that analyzes policies writes the whole status again, with generations as strings, which the schema allows. If that counted as
 * a difference, both controllers would overwrite one another without end.
 */
function sameMember(name: string, left: unknown, right: unknown): boolean {
  if (name === 'observedGeneration' && (typeof left === 'string' || typeof right === 'string')) return Number(left) === Number(right);
  return sameJson(left ?? null, right ?? null);
}
