/*
 * A client whose writes end with the leadership: after a process was suspended, or lost the API server, another replica may lead already.
 */
import type { KubeClient } from './client.ts';

/**
 * The same client, whose requests other than GET are not sent while `mayWrite` returns false.
 * Requests for leases are not to be sent through it.
 */
export function fencedClient(client: KubeClient, mayWrite: () => boolean): KubeClient {
  return {
    server: client.server,
    namespace: client.namespace,
    request: (request) => client.request(request.method === 'GET' ? request : { ...request, mayStart: mayWrite }),
    stream: (request) => client.stream(request),
    close: () => client.close(),
  };
}
