/*
 * Containers and timers of the agent that another limit, or the code around them, bounds.
 */

/** What bounds them, and how many of them a file has: a new one is looked at again. */
export interface BoundedElsewhere {
  readonly count: number;
  readonly by: string;
}

/** By path from the project's root. */
export const BOUNDED_ELSEWHERE: ReadonlyMap<string, BoundedElsewhere> = new Map([
  ['src/filters/change-query.ts', { count: 2, by: 'the query of one request: request-head-bytes' }],
  ['src/fs-watch/watch-directories.ts', { count: 1, by: 'one timer for each watch; the caller gives its period: bundle-poll' }],
  ['src/jwt/authenticator.ts', { count: 1, by: 'the key sets of one bundle: bundle-bytes' }],
  ['src/jwt/known-tokens.ts', { count: 3, by: 'the tokens of one request: request-head-bytes' }],
  ['src/jwt/token-cache.ts', { count: 1, by: 'token-cache-bytes' }],
  ['src/jwt/token-record.ts', { count: 1, by: 'a result for each JWT rule: bundle-bytes; counted in token-cache-bytes' }],
  ['src/telemetry/agent-metrics.ts', { count: 4, by: 'label values that are constants of the code' }],
  ['src/telemetry/line-writer.ts', { count: 1, by: 'a writer for each file descriptor of a log' }],
  ['src/telemetry/policy-counters.ts', { count: 1, by: 'the limit of series that its constructor takes' }],
  ['src/telemetry/tls-metrics.ts', { count: 1, by: 'label values that are constants of the code' }],
]);
