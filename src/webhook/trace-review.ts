/*
 * The span of one review.
 */
import type { ReviewSample } from '../telemetry/webhook-metrics.ts';
import type { Tracer } from '../traces/tracer.ts';

/** Adds the span, by the path of the webhook only: any other path could be a secret of a client. */
export function traceReview(tracer: Tracer, { webhook, code, result, durationMs, traceParent }: ReviewSample): void {
  const attributes = { 'url.path': webhook, 'http.response.status_code': code, 'sallyport.result': result };
  tracer.record({ name: `admission ${webhook}`, kind: 'server', attributes, traceParent }, durationMs);
}
