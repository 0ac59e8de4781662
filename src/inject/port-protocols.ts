/*
 * The protocol of a port, as Istio derives it: from the Service that leads to it, by `appProtocol` or by the prefix of the
 * port's name or by a well-known number, else from the name of the container port. On a port without any indication the agent speaks what each
 * client speaks.
 * @see istio pkg/config/kube/conversion.go ConvertProtocol
 */
import type { AppProtocol } from '../api/kube/agent-contract.ts';
import type { ServicePort } from './services.ts';

/** Where the indication comes from, such as `appProtocol "tcp" of Service cache`, and the protocol. */
export interface Indication {
  readonly source: string;
  readonly protocol: string;
}

/** What the application speaks, by Istio's protocols. Istio translates gRPC-Web, which the agent passes on as it is. */
const KNOWN: ReadonlyMap<string, AppProtocol> = new Map([
  ['http', 'http1'],
  ['http_proxy', 'http1'],
  ['http1', 'http1'],
  ['kubernetes.io/ws', 'http1'],
  ['ws', 'http1'],
  ['http2', 'http2'],
  ['h2c', 'http2'],
  ['grpc', 'http2'],
  ['kubernetes.io/h2c', 'http2'],
  ['grpc-web', 'client'],
  ['tcp', 'tcp'],
  ['tls', 'tcp'],
  ['https', 'tcp'],
  ['kubernetes.io/wss', 'tcp'],
  ['mongo', 'tcp'],
  ['redis', 'tcp'],
  ['mysql', 'tcp'],
]);
/** Requests of these are encrypted. */
const ENCRYPTED: ReadonlySet<string> = new Set(['tls', 'https', 'kubernetes.io/wss']);
/** Ports of Services that are TCP without a name: SMTP, DNS, MySQL, MongoDB. */
const TCP_SERVICE_PORTS: readonly number[] = [25, 53, 3306, 27017];

/** A container port. */
export interface NamedPort {
  readonly port: number;
  /** `''`: none. */
  readonly name: string;
}

/** What indicates that requests to the port are encrypted; undefined: nothing does. */
export function findEncryption(port: NamedPort, services: readonly ServicePort[]): Indication | undefined {
  return indicationsOf(port, services).find(({ protocol }) => ENCRYPTED.has(protocol));
}

/** What the application speaks; `client` without an indication, and when Services contradict each other. */
export function appProtocolOf(port: NamedPort, services: readonly ServicePort[]): AppProtocol {
  const found = new Set(indicationsOf(port, services).map(({ protocol }) => KNOWN.get(protocol) ?? 'client'));
  const [only = 'client'] = found;
  return found.size === 1 ? only : 'client';
}

/** Of the Services that lead to the port; of the port's name if none says anything. */
function indicationsOf({ port, name }: NamedPort, services: readonly ServicePort[]): readonly Indication[] {
  const leading = services.filter(({ target }) => target === port || (name !== '' && target === name));
  const indications = leading.map((entry) => ofServicePort(entry)).filter((found) => found !== undefined);
  if (indications.length > 0) return indications;
  const protocol = protocolOfName(name);
  return protocol === undefined ? [] : [{ source: `the name "${name}"`, protocol }];
}

/** An `appProtocol` that is not known means nothing to Istio, and the name counts. */
function ofServicePort({ service, name, appProtocol, number }: ServicePort): Indication | undefined {
  const declared = appProtocol?.toLowerCase();
  if (declared !== undefined && KNOWN.has(declared)) {
    return { source: `appProtocol "${appProtocol}" in Service ${service}`, protocol: declared };
  }
  const protocol = protocolOfName(name);
  if (protocol !== undefined) return { source: `the name "${name}" in Service ${service}`, protocol };
  return TCP_SERVICE_PORTS.includes(number) ? { source: `port ${number} of Service ${service}`, protocol: 'tcp' } : undefined;
}

/** `grpc-web` is the only protocol whose name contains a dash. */
function protocolOfName(name: string): string | undefined {
  const lower = name.toLowerCase();
  const prefix = /^grpc-web(?:$|-)/.test(lower) ? 'grpc-web' : (lower.split('-')[0] ?? '');
  return KNOWN.has(prefix) ? prefix : undefined;
}
