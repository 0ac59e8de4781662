/*
 * A socket whose peer has reset the connection: what had arrived is read, and what could not be sent is reported.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { OutgoingSocket } from '../../../../src/agent/net/outgoing-socket.ts';

describe('OutgoingSocket', () => {
  let server: Server;
  let reports: (string | Buffer | undefined)[];
  let socket: OutgoingSocket;
  let text: string;
  let peer: Socket;

  beforeEach(async () => {
    reports = [];
    text = '';
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    socket = new OutgoingSocket({ allowHalfOpen: true }, (unsent) => reports.push(unsent));
    socket.on('error', () => {});
    socket.connect((server.address() as AddressInfo).port, '127.0.0.1');
    [[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [[Socket], unknown];
    peer.on('error', () => {});
  });
  afterEach(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });

  /** The peer sends `answer` and resets the connection; the socket has noticed neither when this returns. */
  async function answerAndReset(answer: string): Promise<void> {
    await new Promise((resolve) => peer.write(answer, resolve));
    peer.resetAndDestroy();
  }

  it('reports the first bytes of a message that could not be sent, and delivers what had arrived', async () => {
    await answerAndReset('answer');
    socket.beginMessage();
    socket.write('first', 'latin1');
    socket.write('second', 'latin1');
    expect(reports).to.deep.equal(['first']);
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
    });
    await once(socket, 'end');
    expect(text).to.equal('answer');
    expect(socket.destroyed).to.equal(false);
  });

  it('sends what is written together, in order', async () => {
    socket.cork();
    for (const part of ['a', 'b', 'c']) socket.write(part, 'latin1');
    socket.uncork();
    socket.end();
    let sent = '';
    for await (const bytes of peer) sent += String(bytes);
    expect(sent).to.equal('abc');
  });

  it('does not call bytes unsent that follow others of the message', async () => {
    socket.beginMessage();
    socket.write('first', 'latin1');
    await once(peer, 'data');
    await answerAndReset('answer');
    socket.write('second', 'latin1');
    expect(reports).to.deep.equal([undefined]);
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
    });
    await once(socket, 'end');
    expect(text).to.equal('answer');
  });

  it('does not report what it has sent', async () => {
    socket.beginMessage();
    socket.write('first', 'latin1');
    const [bytes] = (await once(peer, 'data')) as [Buffer];
    expect(bytes.toString()).to.equal('first');
    expect(reports).to.deep.equal([]);
  });
});
