/*
 * Why replicas of the controller refuse the present configuration, by the events that they record.
 */
import { CONFIG_ACCEPTED, CONFIG_REJECTED } from '../../api/kube/event-reasons.ts';
import type { RawObject } from '../../cluster/kube-object.ts';
import { listObjects } from '../../cluster/list-objects.ts';
import { EVENTS } from '../../cluster/paths.ts';
import { ALWAYS, type LiveSession } from './session.ts';

/** A replica that refuses the configuration. Printed as JSON with these member names. */
export interface ConfigurationProblem {
  /** Name of its pod. */
  readonly replica: string;
  readonly message: string;
  /** When it said so last, as in RFC 3339. */
  readonly time: string;
}

/** Three times the time between two events about a refusal: the replica is gone. */
const OLD_MS = 900_000;

/** The replicas whose last event is a refusal. Undefined: the events in that namespace cannot be read. */
export async function readConfigurationProblems(
  { client }: Pick<LiveSession, 'client'>,
  { namespace, nowMs }: { readonly namespace: string; readonly nowMs: number },
): Promise<readonly ConfigurationProblem[] | undefined> {
  const last = new Map<string, ConfigurationProblem & { readonly reason: string }>();
  const visit = (raw: RawObject): void => {
    const reason = textOf(raw['reason']);
    if (reason !== CONFIG_REJECTED && reason !== CONFIG_ACCEPTED) return;
    const replica = textOf(raw['reportingInstance']);
    const { lastObservedTime } = (raw['series'] ?? {}) as { readonly lastObservedTime?: unknown };
    const time = textOf(lastObservedTime ?? raw['eventTime']);
    if ((last.get(replica)?.time ?? '') < time) last.set(replica, { replica, message: textOf(raw['note']), time, reason });
  };
  try {
    await listObjects(client, { resource: EVENTS, namespace, fieldSelector: 'regarding.kind=ConfigMap' }, visit, ALWAYS);
  } catch {
    // Tenants may not read the namespace of the controller; what they may read is shown.
    return undefined;
  }
  return [...last.values()]
    .filter(({ reason, time }) => reason === CONFIG_REJECTED && nowMs - Date.parse(time) < OLD_MS)
    .map(({ replica, message, time }) => ({ replica, message, time }))
    .toSorted((one, other) => (one.replica < other.replica ? -1 : 1));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
