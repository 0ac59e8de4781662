/*
 * Descriptions of the limits of evaluations that wait, and of streams that are evaluated again, for the reference page.
 */
import type { LimitName } from './agent-limits.ts';
import type { LimitReference } from './agent-limits-reference.ts';

type EvaluationLimitName = Extract<
  LimitName,
  'waitingEvaluations' | 'evaluationWait' | 'evaluationTurn' | 'lightEvaluations' | 'requestsPerRead' | 'liveStreams' | 'liveStreamBytes'
>;

/** By their names in code. */
export const EVALUATION_REFERENCE: Readonly<Record<EvaluationLimitName, LimitReference>> = {
  waitingEvaluations: {
    part: 'tokens',
    bounds: 'requests that wait for the verification of a token',
    beyond: '503 `too many requests wait for verification`',
  },
  evaluationWait: {
    part: 'tokens',
    bounds: 'time that a request waits for the verification of a token',
    beyond: '503 `too many requests wait for verification`',
  },
  evaluationTurn: {
    part: 'tokens',
    bounds: 'time in one turn of the event loop for evaluations that wait, rounded up to a whole evaluation',
    beyond: 'the others wait for the next turn',
  },
  lightEvaluations: {
    part: 'tokens',
    bounds: 'time of such evaluations that a connection may take, of which it gets back 20 ms a second',
    beyond: 'connections that took less go first',
  },
  requestsPerRead: {
    part: 'clients',
    bounds: 'requests of one read that are evaluated immediately',
    beyond: 'the next one waits for the next turn of the event loop',
  },
  liveStreams: {
    part: 'clients',
    bounds: 'exchanges and TCP connections that `sallyport.dev/reevaluate-streams` evaluates again; more than can be open',
    beyond: '503, and a TCP connection is closed',
  },
  liveStreamBytes: {
    part: 'clients',
    bounds: 'heads of requests that are kept for that; of the whole process',
    beyond: 'a request is forwarded without; at the next change of the policy its exchange ends',
  },
};
