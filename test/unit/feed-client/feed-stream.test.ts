/* Attempts to open a stream of the feed at servers that are not one. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { connectFeed, type FeedConnection } from '../../../src/feed-client/feed-stream.ts';
import { LIMITS } from '../../../src/limits/agent-limits.ts';
import { issueAuthority, issueServing, type KeyPair } from '../../../src/webhook/certs/issue.ts';

const SERVER_NAME = 'sallyport.system.svc';

describe('connectFeed', () => {
  let authority: KeyPair;
  let server: Server;

  before(async () => {
    authority = await issueAuthority(Date.now(), 86_400_000);
    const { certPem, keyPem } = await issueServing(authority, [SERVER_NAME], { nowMs: Date.now(), validMs: 86_400_000 });
    server = createServer({ cert: certPem, key: keyPem }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  const connect = (serverName = SERVER_NAME): Promise<FeedConnection> =>
    connectFeed(
      {
        host: '127.0.0.1',
        port: (server.address() as AddressInfo).port,
        serverName,
        authorities: [authority.certPem],
        token: 'token',
        takes: 'parts',
        patience: LIMITS.feedConnectTime,
      },
      new AbortController().signal,
    );

  it('is refused by a server that switches to another protocol', async () => {
    server.once('upgrade', (_request, socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other/1\r\n\r\n');
    });
    expect(await connect()).to.deep.equal({ kind: 'refused', reason: 'the controller speaks other/1' });
    expect(LIMITS.feedConnectTime.reached).to.equal(0);
  });

  it('is refused by a server that closes the connection', async () => {
    server.once('upgrade', (_request, socket) => socket.destroy());
    expect(await connect()).to.include({ kind: 'refused' });
  });

  it('is refused when the certificate has another name', async () => {
    expect(await connect('other.system.svc'))
      .to.have.property('reason')
      .that.includes('other.system.svc');
  });
});
