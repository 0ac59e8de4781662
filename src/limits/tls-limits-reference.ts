/*
 * Descriptions of the limits of TLS that the agent terminates, for the reference page.
 */
import type { LimitName } from './agent-limits.ts';
import type { LimitReference } from './agent-limits-reference.ts';

/** Limits of TLS. */
export type TlsLimit = Extract<
  LimitName,
  'handshakes' | 'handshakeTime' | 'handshakeBytes' | 'tlsFileBytes' | 'tlsFilePoll' | 'tlsFileRetry'
>;

/** The limits of TLS by their name in code. */
export const TLS_LIMITS_REFERENCE: Readonly<Record<TlsLimit, LimitReference>> = {
  handshakes: {
    part: 'clients',
    bounds: 'TLS handshakes that have begun and not ended',
    beyond: 'the one that began first is dropped',
    labels: 'result="too_many"',
  },
  handshakeTime: {
    part: 'clients',
    bounds: 'time from accepting a connection that must be TLS, or from its first byte, to the end of the handshake',
    beyond: 'the connection is closed',
    labels: 'result="timeout"',
  },
  handshakeBytes: {
    part: 'clients',
    bounds: 'bytes of a client before the end of its TLS handshake',
    beyond: 'the connection is closed',
    labels: 'result="too_large"',
  },
  tlsFileBytes: {
    part: 'clients',
    bounds: 'size of a file with a certificate, a key or a trust bundle',
    beyond: 'the last good certificate stays',
  },
  tlsFilePoll: { part: 'clients', bounds: 'time between two looks at these files without a report of a change', beyond: 'they are read' },
  tlsFileRetry: {
    part: 'clients',
    bounds: 'time after which files that do not fit together are read again',
    beyond: 'the problem is logged and counted',
  },
};
