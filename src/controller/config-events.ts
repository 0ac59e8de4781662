/*
 * Records events on the ConfigMap of the configuration when it is refused, and when it is accepted. A refusal is repeated: events are deleted
 * after an hour, and `sallyport status` shows the last one.
 */
import { CONFIG_ACCEPTED, CONFIG_REJECTED } from '../api/kube/event-reasons.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { EventTarget, KubeEvent, Recorder } from '../cluster/recorder.ts';

/** Time between two events about the same refusal, in milliseconds. */
export const REPEAT_MS = 300_000;

/** Parts of the events. */
export interface ConfigEventsOptions {
  readonly regarding: EventTarget;
  /** UID of the ConfigMap, without which `kubectl describe` does not show events. Undefined: not known. Must not reject. */
  readonly uidOf: () => Promise<string | undefined>;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly clock?: Clock;
}

/** Records what becomes of changes of the configuration. */
export interface ConfigEvents {
  readonly onReload: (result: 'success' | 'failure', reload: { readonly error: string; readonly needsRestart: boolean }) => void;
  /** Repeats nothing any more. */
  readonly stop: () => void;
}

/** Events about one ConfigMap. */
export function createConfigEvents({ regarding, uidOf, recorder, clock = systemClock }: ConfigEventsOptions): ConfigEvents {
  let cancel = (): void => undefined;
  let recorded = Promise.resolve();
  const record = (event: Pick<KubeEvent, 'type' | 'reason' | 'note'>): void => {
    recorded = recorded.then(async () => {
      const uid = await uidOf();
      recorder.record({ regarding: { ...regarding, ...(uid === undefined ? {} : { uid }) }, action: 'Reload', ...event });
    });
  };
  const reject = (error: string): void => {
    record({ type: 'Warning', reason: CONFIG_REJECTED, note: error });
    cancel = clock.after(REPEAT_MS, () => reject(error));
  };
  return {
    onReload: (result, { error, needsRestart }) => {
      cancel();
      if (result === 'failure') {
        reject(error);
        return;
      }
      const note = needsRestart
        ? 'Settings below mesh, jwks.servers, logLevel and logFormat are active; others need a restart'
        : 'The configuration is active';
      record({ type: 'Normal', reason: CONFIG_ACCEPTED, note });
    },
    stop: () => cancel(),
  };
}
