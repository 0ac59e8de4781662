/*
 * The text of /metrics, rendered a limited number of times a second: a flood of scrapes must not take time from requests.
 */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';

const WINDOW_MS = LIMITS.metricsWindow.value;
const MAX_RENDERINGS = LIMITS.metricsRenderings.value;

/** `render` with a limit on its calls; beyond it the text is that of the last call. */
export function limitRenderings(render: () => string, clock: Clock): () => string {
  let text = '';
  let windowEndMs = 0;
  let renderings = 0;
  return () => {
    const nowMs = clock.nowMs();
    if (nowMs >= windowEndMs) {
      windowEndMs = nowMs + WINDOW_MS;
      renderings = 0;
    }
    if (renderings >= MAX_RENDERINGS) {
      LIMITS.metricsRenderings.hit();
      return text;
    }
    renderings += 1;
    text = render();
    return text;
  };
}
