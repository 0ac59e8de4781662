/* The server name of ClientHello messages that Node.js sends, whole, split and damaged. */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { isTlsRecord, readClientHello } from '../../../../src/agent/tls/client-hello.ts';

/** What a TLS client sends first. */
async function helloOf(servername: string | undefined, ALPNProtocols: readonly string[] = []): Promise<Buffer> {
  const sent = Promise.withResolvers<Buffer>();
  const wire = new Duplex({ read: () => {}, write: (chunk: Buffer, _encoding, done) => (sent.resolve(chunk), done()) });
  const client = connect({ socket: wire, ALPNProtocols: [...ALPNProtocols], ...(servername !== undefined && { servername }) });
  client.on('error', () => {});
  const bytes = await sent.promise;
  client.destroy();
  await once(client, 'close');
  return bytes;
}

/** The same message in records of `size` bytes. */
function splitInto(hello: Buffer, size: number): Buffer {
  const records: Buffer[] = [];
  for (let at = 5; at < hello.length; at += size) {
    const part = hello.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

describe('readClientHello', () => {
  it('reads the name in lower case, whole or in several records', async () => {
    const hello = await helloOf('App.Example');

    expect(isTlsRecord(hello)).to.equal(true);
    expect(readClientHello(hello)).to.deep.equal({ sni: 'app.example', protocols: [] });
    for (const size of [1, 7, 100]) expect(readClientHello(splitInto(hello, size))).to.deep.equal({ sni: 'app.example', protocols: [] });
  });

  it('has no name when the client sends none', async () => {
    expect(readClientHello(await helloOf(undefined))).to.deep.equal({ sni: '', protocols: [] });
  });

  it('reads the protocols in the order of the client', async () => {
    const hello = await helloOf('a.example', ['istio', 'h2', 'http/1.1']);

    for (const bytes of [hello, splitInto(hello, 3)])
      expect(readClientHello(bytes)).to.deep.equal({ sni: 'a.example', protocols: ['istio', 'h2', 'http/1.1'] });
  });

  it('reads the name whatever follows the message in the same read', async () => {
    const hello = await helloOf('a.example');
    const changeCipherSpec = Buffer.from([20, 3, 3, 0, 1, 1]);
    const earlyData = Buffer.from([23, 3, 3, 0, 2, 0, 0]);
    for (const first of [hello, splitInto(hello, 1), splitInto(hello, 50)])
      for (const rest of [changeCipherSpec, earlyData, Buffer.concat([changeCipherSpec, earlyData]), Buffer.from('GET / HTTP/1.1')])
        expect(readClientHello(Buffer.concat([first, rest]))).to.deep.equal({ sni: 'a.example', protocols: [] });
  });

  it('needs more until the last byte', async () => {
    const hello = await helloOf('a.example');
    for (let length = 0; length < hello.length; length += 1) expect(readClientHello(hello.subarray(0, length))).to.equal('more');
  });

  it('finds no name, and never more than there is, in damaged messages', async () => {
    const hello = await helloOf('a.example');
    for (let at = 0; at < hello.length; at += 1) {
      const damaged = Buffer.from(hello);
      damaged[at] = 255 - (damaged[at] ?? 0);
      const found = readClientHello(damaged);
      if (typeof found !== 'string') expect(found.sni).to.match(/^[a-z0-9._-]*$/);
    }
    expect(readClientHello(Buffer.from([22, 3, 1, 0, 0]))).to.equal('none');
    expect(readClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]))).to.equal('none');
  });

  it('knows what is not TLS', () => {
    expect(isTlsRecord(Buffer.from('GET /'))).to.equal(false);
    expect(isTlsRecord(Buffer.from([22, 9]))).to.equal(false);
    expect(isTlsRecord(Buffer.from([22]))).to.equal(true);
  });
});
