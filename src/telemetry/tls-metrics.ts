/*
 * Metrics of TLS that an agent terminates.
 */
import { createTally, type Metric } from './metric-text.ts';

/** What happens to TLS. */
export interface TlsEvents {
  /** A TLS handshake ended. @param result `ok` or a reason of a closed list @param version `1.2`, `1.3`, or empty when it failed */
  onTlsHandshake(result: string, version: string): void;
  /** A TLS certificate is used from now on. @param expirySeconds Unix time */
  onTlsCertificate(expirySeconds: number): void;
  /** Files with a TLS certificate were refused; the last good ones stay. */
  onTlsCertificateRefused(): void;
}

/** Metrics of TLS, and what they count. */
export interface TlsMetrics {
  readonly metrics: readonly Metric[];
  readonly events: TlsEvents;
}

/** The metrics of TLS of one agent. */
export function createTlsMetrics(): TlsMetrics {
  const handshakes = new Map<string, { readonly labels: { readonly result: string; readonly version: string }; value: number }>();
  let expiry: number | undefined;
  const refused = createTally(
    'counter',
    'sallyport_agent_tls_certificate_refused_total',
    'TLS certificates, keys or trust bundles that were refused; the last good ones stay.',
  );
  return {
    metrics: [
      {
        name: 'sallyport_agent_tls_handshakes_total',
        help: 'TLS handshakes by result and version; the version is empty for those that failed.',
        type: 'counter',
        read: () => [...handshakes.values()],
      },
      {
        name: 'sallyport_agent_tls_certificate_expiry_timestamp_seconds',
        help: 'When the TLS certificate in use expires, in seconds since 1970; absent: no certificate.',
        type: 'gauge',
        read: () => (expiry === undefined ? [] : [{ value: expiry }]),
      },
      refused,
    ],
    events: {
      onTlsHandshake: (result, version) => {
        const key = `${result} ${version}`;
        const known = handshakes.get(key);
        if (known === undefined) handshakes.set(key, { labels: { result, version }, value: 1 });
        else known.value += 1;
      },
      onTlsCertificate: (expirySeconds) => {
        expiry = expirySeconds;
      },
      onTlsCertificateRefused: () => refused.add(1),
    },
  };
}
