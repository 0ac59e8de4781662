/*
 * The port of the pod that a written request reaches, which is the one that policies see. A request names it itself, or the port that
 * the client dials, or neither.
 */
import { firstHeader } from '../../http/header-list.ts';
import type { PolicySet } from './policy-set.ts';
import type { Target } from './policy-target.ts';
import type { ReadRequest, RequestSpec } from './request-spec.ts';

/** Where a port of a request comes from. */
interface PodPort {
  readonly port: number;
  /** What the user should know about it; absent: nothing. */
  readonly note?: string;
}

const HTTP_PORT = 80;

/**
 * `read` with the port of the pod that `target` is about: the port of `spec`; else the target of the dialed port, or of port 80, in a
 * Service; else the port that the URL names; else the only port of the pod. Unknown: 80.
 */
export function withPodPort(
  read: ReadRequest,
  spec: Pick<RequestSpec, 'port' | 'dialed'>,
  { set, target }: { readonly set: Pick<PolicySet, 'servicePort' | 'ownPort'>; readonly target: Target },
): { readonly read: ReadRequest; readonly note?: string } {
  if (read.kind === 'reply' || spec.port !== undefined) return { read };
  const authority = firstHeader(read.request.headers, 'host') ?? firstHeader(read.request.headers, 'Host') ?? '';
  const { port, note } = podPort(authority, spec.dialed, { set, target });
  const request = { ...read.request, connection: { ...read.request.connection, destinationPort: port } };
  return { read: { kind: 'request', request }, ...(note === undefined ? {} : { note }) };
}

function podPort(
  authority: string,
  dialed: RequestSpec['dialed'],
  { set, target }: { readonly set: Pick<PolicySet, 'servicePort' | 'ownPort'>; readonly target: Target },
): PodPort {
  const [, host = authority, written] = /^(.*?)(?::([0-9]{1,5}))?$/.exec(authority) ?? [];
  const candidates = dialed?.isExplicit === true ? [dialed.port] : [Number(written ?? dialed?.port ?? HTTP_PORT), HTTP_PORT];
  for (const port of candidates) {
    const found = set.servicePort(target, host, port);
    if (found === undefined) continue;
    const isSame = found.port === port;
    return {
      port: found.port,
      ...(isSame
        ? {}
        : { note: `port ${port} of Service ${found.service} maps to port ${found.port} of the pod, which is the one that policies see` }),
    };
  }
  if (dialed?.isExplicit === true) return { port: dialed.port };
  return { port: set.ownPort(target) ?? HTTP_PORT };
}
