/*
 * The webhook's metrics, with the names of controller-runtime's webhook metrics where those exist.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** One admission request and its response. */
export interface ReviewSample {
  /** Path, such as `/mutate`; `unknown` for a path that is not served. */
  readonly webhook: string;
  /** HTTP status of the response. */
  readonly code: number;
  readonly result: 'allowed' | 'patched' | 'denied' | 'error';
  readonly durationMs: number;
  /** `traceparent` of the API server, not checked; absent: it sent none. */
  readonly traceParent?: string;
}

/** Observer of the webhook. */
export interface WebhookMetrics {
  readonly onReview: (sample: ReviewSample) => void;
  /** @param expiresMs end of the served certificate's validity, in milliseconds since 1970 */
  readonly onCertificate: (expiresMs: number) => void;
}

const LATENCY_SECONDS: number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Registers the webhook's metrics; once per registry. */
export function createWebhookMetrics(registry: Registry): WebhookMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'controller_runtime_webhook_requests_total',
    help: 'Admission requests by HTTP status.',
    labelNames: ['webhook', 'code'],
    registers,
  });
  const latency = new Histogram({
    name: 'controller_runtime_webhook_latency_seconds',
    help: 'Seconds to respond to an admission request.',
    labelNames: ['webhook'],
    buckets: LATENCY_SECONDS,
    registers,
  });
  const reviews = new Counter({
    name: 'sallyport_admission_reviews_total',
    help: 'Admission requests by result.',
    labelNames: ['webhook', 'result'],
    registers,
  });
  const expiry = new Gauge({
    name: 'sallyport_webhook_certificate_expiry_timestamp_seconds',
    help: 'End of validity of the served certificate in seconds since 1970.',
    registers,
  });
  return {
    onReview: ({ webhook, code, result, durationMs }) => {
      requests.inc({ webhook, code: String(code) });
      reviews.inc({ webhook, result });
      latency.observe({ webhook }, durationMs / 1000);
    },
    onCertificate: (expiresMs) => expiry.set(expiresMs / 1000),
  };
}
