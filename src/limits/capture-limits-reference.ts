/*
 * Descriptions of the limits of captured connections, for the reference page.
 */
import type { LimitName } from './agent-limits.ts';
import type { LimitReference } from './agent-limits-reference.ts';
import { TLS_LIMITS_REFERENCE, type TlsLimit } from './tls-limits-reference.ts';

type CaptureLimit = Extract<
  LimitName,
  | 'blockedPortLog'
  | 'refusedConnectionLog'
  | 'destinations'
  | 'ownAddresses'
  | 'detectedBytes'
  | 'firstByteTime'
  | 'deniedSilence'
  | 'undecidedSilence'
  | 'clientHelloBytes'
  | 'ownAddressLookup'
>;

/** The limits of captured connections, TLS included, by their name in code. */
export const CAPTURE_LIMITS_REFERENCE: Readonly<Record<CaptureLimit | TlsLimit, LimitReference>> = {
  ...TLS_LIMITS_REFERENCE,
  blockedPortLog: {
    part: 'clients',
    bounds: 'time between two log lines on connections to undeclared ports',
    beyond: 'they are counted and part of the next line',
  },
  refusedConnectionLog: {
    part: 'clients',
    bounds: 'time between two log lines on connections that lead nowhere',
    beyond: 'they are counted and part of the next line',
  },
  destinations: {
    part: 'clients',
    bounds: 'addresses and ports of the pod with open connections',
    beyond: 'a connection to a further port is reset',
  },
  detectedBytes: {
    part: 'clients',
    bounds: 'first bytes of a client in which its protocol is looked for, on a port whose protocol is not known',
    beyond: 'a long line that begins as a request line does is HTTP, everything else is TCP',
  },
  firstByteTime: {
    part: 'clients',
    bounds: 'time until a silent client is taken for one that waits for the server to speak first',
    beyond: 'the application is connected, if the TCP rules allow that',
  },
  deniedSilence: {
    part: 'clients',
    bounds: 'time that a silent client on a TCP port has when the rules deny it without a server name',
    beyond: 'the connection is closed',
    labels: 'reason="refused"',
  },
  undecidedSilence: {
    part: 'clients',
    bounds:
      'time that a silent client on a port of unknown protocol has when the TCP rules deny it: it may be an HTTP client that connects in advance',
    beyond: 'the connection is closed',
    labels: 'reason="refused"',
  },
  clientHelloBytes: {
    part: 'clients',
    bounds: 'bytes of a TLS ClientHello on a TCP port',
    beyond: 'the connection is closed',
    labels: 'reason="refused"',
  },
  ownAddresses: {
    part: 'clients',
    bounds: 'addresses of the pod',
    beyond: 'connections to a further address are reset',
  },
  ownAddressLookup: {
    part: 'clients',
    bounds: 'time between two lookups of the addresses of the pod, for a connection to an unknown one',
    beyond: 'the connection is reset',
  },
};
