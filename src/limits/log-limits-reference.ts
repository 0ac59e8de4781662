/*
 * Descriptions of the limits of logs, a part of `agent-limits-reference.ts`.
 */
import type { LimitName } from './agent-limits.ts';
import type { LimitReference } from './agent-limits-reference.ts';

type LogLimitName = Extract<
  LimitName,
  | 'accessLogBuffers'
  | 'accessLogAllowBuffers'
  | 'accessLogField'
  | 'nearMissTime'
  | 'firstNearMissTime'
  | 'namedPolicies'
  | 'policySeries'
  | 'dryRunSeries'
  | 'accessLogFlush'
  | 'limitLog'
  | 'logBuffers'
  | 'logBytes'
  | 'spareLogBuffers'
  | 'logLineBytes'
  | 'logFlushTime'
  | 'logRetry'
>;

const NOTHING = 'nothing is lost';

/** By their names in code. */
export const LOG_LIMITS_REFERENCE: Readonly<Record<LogLimitName, LimitReference>> = {
  accessLogBuffers: {
    part: 'logs',
    bounds: 'buffers of 128 KiB in use when a line of a request that was not allowed is added',
    beyond: 'the line is dropped',
  },
  accessLogAllowBuffers: { part: 'logs', bounds: 'the same for an allowed request', beyond: 'the line is dropped' },
  accessLogField: { part: 'logs', bounds: 'characters of one field of the access log', beyond: 'the field is cut' },
  nearMissTime: {
    part: 'logs',
    bounds: 'time in a second to find the nearest rule of requests that no ALLOW rule matched',
    beyond: 'only what may be the first miss of a policy in this second is looked at',
  },
  firstNearMissTime: {
    part: 'logs',
    bounds: 'time in a second for all of these searches',
    beyond: 'the lines of further misses do not name a rule',
  },
  namedPolicies: { part: 'logs', bounds: 'policies that are remembered as named in this second', beyond: 'they may be named again' },
  policySeries: {
    part: 'logs',
    bounds: 'series of `sallyport_agent_policy_decisions_total` with the name of a policy',
    beyond: 'a series that has not counted under the active bundle is dropped, else the policy counts as `other`',
  },
  dryRunSeries: {
    part: 'logs',
    bounds: 'series of `sallyport_agent_dry_run_decisions_total` with the name of a policy',
    beyond: 'as for `policy-series`',
  },
  accessLogFlush: { part: 'logs', bounds: 'time that an access log line may wait for others to be written with it', beyond: NOTHING },
  limitLog: {
    part: 'logs',
    bounds: 'time between two log lines on limits that were reached',
    beyond: 'the next line has the number of times',
  },
  logBuffers: {
    part: 'logs',
    bounds: 'buffers of 128 KiB with lines that the reader of stdout has not taken',
    beyond: 'the log line is dropped; once the log can be written again, a line says how many were',
  },
  logBytes: { part: 'logs', bounds: 'bytes of those buffers; a line that is longer has its own', beyond: 'the same' },
  spareLogBuffers: { part: 'logs', bounds: 'unused buffers that are kept', beyond: 'the buffer is freed' },
  logLineBytes: { part: 'logs', bounds: 'one line of the log', beyond: 'the line is dropped' },
  logFlushTime: { part: 'logs', bounds: 'time to write the rest of the log at the end', beyond: 'the rest is lost' },
  logRetry: { part: 'logs', bounds: 'time until a write to a file is repeated that the system could not take', beyond: NOTHING },
};
