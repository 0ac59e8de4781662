/*
 * A witness in a few words.
 */
import type { Witness } from './witness.ts';

/** The request or connection without its tokens: `POST /a, x-tenant: b, from 10.0.0.1`. */
export function witnessText({ protocol, request, invalidTokenAt }: Witness): string {
  const { method, path, host, headers, sourceIp, forwardedFor, destinationIp, port, sni, peers } = request;
  const facts = [
    ...(protocol === 'tcp' ? ['TCP connection'] : [`${method} ${path}`, ...(host === undefined ? [] : [`host ${host}`])]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(sourceIp === undefined ? [] : [`from ${sourceIp}`]),
    ...(forwardedFor === undefined ? [] : [`forwarded for ${forwardedFor}`]),
    ...(destinationIp === undefined ? [] : [`to ${destinationIp}`]),
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(sni === undefined || sni === '' ? [] : [`SNI ${sni}`]),
    ...peers.map((peer) => `as ${peer}`),
    ...(invalidTokenAt === undefined ? [] : [`an invalid token in ${invalidTokenAt.kind} ${invalidTokenAt.name}`]),
  ];
  return facts.join(', ');
}
