/*
 * Idle connections to the servers of the controller: a new client always gets through.
 */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createTls, request as requestTls, type Server as TlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { limitConnections } from '../../../src/ops-server/limit-connections.ts';
import { issueAuthority, issueServing } from '../../../src/webhook/certs/issue.ts';

async function certificate(): Promise<{ readonly cert: string; readonly key: string }> {
  const nowMs = Date.now();
  const authority = await issueAuthority(nowMs, 3_600_000);
  const { certPem, keyPem } = await issueServing(authority, ['localhost'], { nowMs, validMs: 3_600_000 });
  return { cert: certPem, key: keyPem };
}

describe('limit of connections', () => {
  const clients: Socket[] = [];
  let server: Server | TlsServer;
  let held: ServerResponse[] = [];
  const handle = ({ url }: { url?: string | undefined }, response: ServerResponse): void => {
    if (url === '/hold') held.push(response);
    else response.end('ok');
  };
  const listen = async (created: Server | TlsServer): Promise<number> => {
    server = created;
    limitConnections(server, 3);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  /** Resolves when connected. `closed` is set when the server closes the connection. */
  const open = async (port: number, text = ''): Promise<{ closed: boolean }> => {
    const state = { closed: false };
    const client = connect(port, '127.0.0.1', () => client.write(text));
    clients.push(client);
    client.on('error', () => {}).on('close', () => (state.closed = true));
    client.resume();
    await once(client, 'connect');
    return state;
  };
  const HOLD = 'GET /hold HTTP/1.1\r\nHost: h\r\n\r\n';
  const waitFor = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  afterEach(() => {
    held = [];
    for (const client of clients.splice(0)) client.destroy();
    server.close();
    server.closeAllConnections();
  });

  it('closes the oldest idle connection for a new one', async () => {
    const port = await listen(createServer(handle));
    const idle = [await open(port), await open(port), await open(port)];
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await response.text()).to.equal('ok');
    await waitFor(() => idle[0]?.closed === true);
    expect(idle.map(({ closed }) => closed)).to.deep.equal([true, false, false]);
  });

  it('closes no connection with a request, and refuses a new one when all have one', async () => {
    const port = await listen(createServer(handle));
    const busy = [await open(port, HOLD), await open(port, HOLD)];
    await waitFor(() => held.length === 2);
    const idle = await open(port);
    busy.push(await open(port, HOLD));
    await waitFor(() => held.length === 3 && idle.closed);
    const late = await open(port);
    await waitFor(() => late.closed);
    expect(busy.map(({ closed }) => closed)).to.deep.equal([false, false, false]);
  });

  it('counts a request only until its response', async () => {
    const port = await listen(createServer(handle));
    const kept = [await open(port, HOLD), await open(port, HOLD), await open(port, HOLD)];
    await waitFor(() => held.length === 3);
    const closed = held.map((response) => once(response, 'close'));
    for (const response of held) response.end();
    await Promise.all(closed);
    await open(port);
    await waitFor(() => kept[0]?.closed === true);
  });

  it('holds for TLS, before and after the handshake', async () => {
    const port = await listen(createTls(await certificate(), handle));
    const idle = [await open(port), await open(port), await open(port)];
    const request = requestTls({ port, host: '127.0.0.1', path: '/hold', rejectUnauthorized: false, agent: false });
    request.on('error', () => {}).end();
    await waitFor(() => held.length === 1 && idle[0]?.closed === true);
    for (let at = 0; at < 5; at += 1) await open(port);
    held[0]?.end('held');
    const [response] = (await once(request, 'response')) as [{ statusCode?: number; resume(): void }];
    response.resume();
    expect(response.statusCode).to.equal(200);
  });
});
