/*
 * The protocol of a port, as Istio derives it: from the Service that leads to it, by `appProtocol` or by the prefix of the
 * port's name, else from the name of the container port. A port without any indication is taken for HTTP/1.1.
 * @see istio pkg/config/kube/conversion.go ConvertProtocol
 */
import type { ServicePort } from './services.ts';

/** Where the indication comes from, such as `appProtocol "tcp" of Service cache`, and the protocol. */
export interface OtherProtocol {
  readonly source: string;
  readonly protocol: string;
}

const HTTP1: ReadonlySet<string> = new Set(['http', 'http_proxy', 'http1', 'grpc-web', 'kubernetes.io/ws', 'ws']);
/** Protocols whose connections the agent rejects. */
const OTHERS: ReadonlySet<string> = new Set(
  (
    'tcp tls https wss http2 h2 h2c grpc grpcs mongo mongodb mysql redis rediss postgres postgresql kafka amqp amqps mqtt memcache memcached ' +
    'cassandra cql zookeeper nats ldap ldaps smtp ftp ssh kubernetes.io/h2c kubernetes.io/wss'
  ).split(' '),
);

/** What indicates that the port speaks something other than HTTP/1.1; undefined: nothing does. */
export function findOtherProtocol(
  { port, name }: { readonly port: number; readonly name: string },
  services: readonly ServicePort[],
): OtherProtocol | undefined {
  const leading = services.filter(({ target }) => target === port || (name !== '' && target === name));
  const indications = leading.map((entry) => ofServicePort(entry)).filter((found) => found !== undefined);
  if (indications.length > 0) return indications.find(({ protocol }) => OTHERS.has(protocol));
  const protocol = protocolOfName(name);
  return protocol !== undefined && OTHERS.has(protocol) ? { source: `the name "${name}"`, protocol } : undefined;
}

/** An `appProtocol` that is not known means nothing to Istio, and the name counts. */
function ofServicePort({ service, name, appProtocol }: ServicePort): OtherProtocol | undefined {
  const declared = appProtocol?.toLowerCase();
  if (declared !== undefined && (HTTP1.has(declared) || OTHERS.has(declared))) {
    return { source: `appProtocol "${appProtocol}" in Service ${service}`, protocol: declared };
  }
  const protocol = protocolOfName(name);
  return protocol === undefined ? undefined : { source: `the name "${name}" in Service ${service}`, protocol };
}

/** `grpc-web` is the only protocol whose name contains a dash. */
function protocolOfName(name: string): string | undefined {
  const lower = name.toLowerCase();
  const prefix = /^grpc-web(?:$|-)/.test(lower) ? 'grpc-web' : (lower.split('-')[0] ?? '');
  return HTTP1.has(prefix) || OTHERS.has(prefix) ? prefix : undefined;
}
