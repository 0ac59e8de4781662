/*
 * Turns the events of TLS into metrics with closed sets of labels; a connection that ends before its peer is known gets an access log line.
 */
import type { AgentMetrics } from '../../telemetry/agent-metrics.ts';
import type { TlsObserver } from '../tls/tls-observer.ts';
import type { AccessLog } from './access-log.ts';

/** An observer that counts, and logs failures when there is an access log. */
export function observeTls(metrics: AgentMetrics, accessLog: AccessLog | undefined): TlsObserver {
  return {
    onHandshake: (version) => metrics.onTlsHandshake('ok', version),
    onHandshakeFailed: (failure, facts, startMs) => {
      metrics.onTlsHandshake(failure, '');
      accessLog?.addConnection({ facts, outcome: 'none', details: `tls_${failure}`, digest: '', startMs, received: 0, sent: 0 });
    },
    onCertificate: (expiresMs) => metrics.onTlsCertificate(expiresMs / 1000),
    onCertificateRefused: () => metrics.onTlsCertificateRefused(),
  };
}
