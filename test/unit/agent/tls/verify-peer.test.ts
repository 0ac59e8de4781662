/* The decision about the peer of a finished handshake, on sockets of node:tls. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { type PeerExpectation, verifyPeer } from '../../../../src/agent/tls/verify-peer.ts';
import { CLIENT_URI, clientOptions, type Mesh, newMesh, SERVER_URI } from './tls-stage.ts';

describe('verifyPeer', () => {
  let mesh: Mesh;
  const expected: PeerExpectation = { sni: 'app.example', trustDomains: ['cluster.local'], localUri: SERVER_URI };
  before(async () => {
    mesh = await newMesh();
  });

  /** Runs `look` on the server's side of a handshake whose certificates nothing has verified. */
  async function withPeer(trusted: Mesh, look: (socket: TLSSocket) => void): Promise<void> {
    const { certPem: cert, keyPem: key } = mesh.server;
    const server = createServer({ cert, key, ca: trusted.authority.certPem, requestCert: true, rejectUnauthorized: false });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect({ ...clientOptions(mesh, (server.address() as AddressInfo).port), servername: 'App.example' });
    client.on('error', () => {});
    const [socket] = (await once(server, 'secureConnection')) as [TLSSocket];
    try {
      look(socket);
    } finally {
      client.destroy();
      socket.destroy();
      server.close();
    }
  }

  it('has the names of a verified peer', async () => {
    await withPeer(mesh, (socket) => {
      const facts = verifyPeer(socket, expected);

      expect(facts).to.deep.include({ sni: 'app.example', tls: true, tlsVersion: '1.3' });
      expect(facts)
        .to.have.property('peer')
        .that.deep.equals({ uris: [CLIENT_URI], dnsNames: [], subject: '' });
    });
  });

  it('refuses a certificate that Node.js has let pass', async () => {
    await withPeer(await newMesh(), (socket) => expect(verifyPeer(socket, expected)).to.equal('untrusted'));
  });

  it('refuses a handshake whose server name is not the one that was read before', async () => {
    await withPeer(mesh, (socket) => {
      for (const sni of ['', 'other.example', 'app.example.', 'APP.example'])
        expect(verifyPeer(socket, { ...expected, sni })).to.equal('server_name');
    });
  });

  it('refuses every peer when Node.js does not say whether its certificate was verified', async () => {
    await withPeer(mesh, (socket) => {
      const silent = new Proxy(socket, {
        get: (target, name) => {
          if (name === '_handle') return {};
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });

      expect(verifyPeer(silent, expected)).to.equal('untrusted');
    });
  });
});
