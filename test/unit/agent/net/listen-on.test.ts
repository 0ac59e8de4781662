/*
 * On which addresses a server listens.
 */
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { listenOn } from '../../../../src/agent/net/listen-on.ts';

describe('listenOn', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const listen = async (host: string | undefined, port: number): Promise<AddressInfo & { readonly given: number }> => {
    const server = createServer();
    servers.push(server);
    const given = await listenOn(server, host, port);
    return { ...(server.address() as AddressInfo), given };
  };

  it('listens on one address when there is one, otherwise on all of them', async () => {
    const one = await listen('127.0.0.1', 0);
    expect(one).to.include({ address: '127.0.0.1', port: one.given });
    expect((await listen(undefined, 0)).address).to.be.oneOf(['::', '0.0.0.0']);
  });

  it('fails with the error of the system', async () => {
    const failure = await listen('127.0.0.1', (await listen('127.0.0.1', 0)).port).catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'EADDRINUSE');
  });
});
