/*
 * The samplers of the OpenTelemetry specification (https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling), by the names of
 * `OTEL_TRACES_SAMPLER`.
 */
import type { TracesSampler } from '../api/kube/agent-contract.ts';
import type { SpanContext } from './trace-context.ts';

/** A sampler, and the share that it takes of the traces that it decides about. */
export interface SamplerOptions {
  readonly sampler: TracesSampler;
  /** 0 to 1, for samplers by ratio. */
  readonly ratio: number;
}

/** Whether to record a trace. @param parent undefined: the trace begins here */
export type Sampler = (traceId: string, parent: SpanContext | undefined) => boolean;

/** The first of the lower 8 bytes of a trace id, in digits; and how many digits a number holds exactly. */
const RANDOM_AT = 16;
const DIGITS = 12;

/** The sampler of a configuration. */
export function createSampler({ sampler, ratio }: SamplerOptions): Sampler {
  const [, parentBased, root] = /^(parentbased_)?(.*)$/.exec(sampler) ?? [];
  const decide = root === 'always_on' ? always : root === 'always_off' ? never : byRatio(ratio);
  return parentBased === undefined ? decide : (traceId, parent) => (parent === undefined ? decide(traceId, parent) : parent.isSampled);
}

const always: Sampler = () => true;
const never: Sampler = () => false;

/** As in other SDKs, the lower 8 bytes of the trace id decide: all services with one ratio sample the same traces. */
function byRatio(ratio: number): Sampler {
  const bound = ratio * 16 ** DIGITS;
  return (traceId) => Number.parseInt(traceId.slice(RANDOM_AT, RANDOM_AT + DIGITS), 16) < bound;
}
