/*
 * Dates as Kubernetes writes them. In: milliseconds since 1970. Out: text. Used by leases, events and conditions.
 * @see k8s.io/apimachinery pkg/apis/meta/v1, Time and MicroTime
 */

/** A date in the form of Kubernetes' MicroTime, e.g. `2026-11-23T21:33:00.120000Z`; the last three digits are always zero. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}

/** A date in the form of Kubernetes' Time (seconds), e.g. `2026-11-23T21:33:00Z`. */
export function kubeTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}
