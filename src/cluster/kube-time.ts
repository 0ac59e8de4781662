/*
 * Timestamps in the formats of Kubernetes, for leases, events and conditions.
 * @see k8s.io/apimachinery pkg/apis/meta/v1, Time and MicroTime
 */

/** Formats milliseconds since the epoch like Kubernetes' MicroTime, e.g. `2026-11-23T21:33:00.120000Z`; the last three digits are always zero. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}

/** Formats milliseconds since the epoch like Kubernetes' Time, in seconds, e.g. `2026-11-23T21:33:00Z`. */
export function kubeTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}
