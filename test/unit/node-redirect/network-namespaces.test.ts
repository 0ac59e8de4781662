/* What is read of network namespaces; entering them is tested with real ones. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { type NetworkInterfaceInfo, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { addressesOf, listNamespaces, openNamespaces, readContent, waitingIn } from '../../../src/node-redirect/network-namespaces.ts';

const TABLE = `Num       RefCount Protocol Flags    Type St Inode Path
000000006accff64: 00000002 00000000 00010000 0001 01 78104 @sallyport.dev/wait/6f1d-uid
000000006accff65: 00000003 00000000 00000000 0001 03 78105 @sallyport.dev/wait/6f1d-uid
000000006accff66: 00000002 00000000 00010000 0001 01 78106 /run/sallyport.dev/wait/file
000000006accff67: 00000003 00000000 00000000 0001 03 78107
`;

describe('waitingIn', () => {
  it('names each pod once, and no socket that is a file', () => {
    expect(waitingIn(TABLE)).to.deep.equal(['6f1d-uid']);
    expect(waitingIn('')).to.deep.equal([]);
  });

  it('stops at a few names, because a pod can have any number of them', () => {
    expect(waitingIn(Array.from({ length: 1_000 }, (_, at) => `x @sallyport.dev/wait/${at}\n`).join(''))).to.have.length(8);
  });
});

describe('addressesOf', () => {
  it('has the first addresses only, of one interface or of several', () => {
    const entry = (address: string): NetworkInterfaceInfo => ({
      address,
      family: 'IPv4',
      netmask: '255.255.255.0',
      mac: '00:00:00:00:00:00',
      internal: false,
      cidr: null,
    });
    const eth0 = Array.from({ length: 1_000 }, (_, at) => entry(`10.0.${at >> 8}.${at & 255}`));

    expect([...addressesOf({ lo: [entry('127.0.0.1')], eth0, eth1: [entry('10.9.9.9')] })])
      .to.have.length(64)
      .and.include('10.0.0.61');
  });
});

describe('readContent', () => {
  const servers: Server[] = [];

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function listen(name: string): Promise<void> {
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen({ path: `\0${name}` }, resolve));
  }

  it('finds the one that waits', async () => {
    await listen('sallyport.dev/wait/content-uid');

    expect(readContent(new Set(['127.0.0.1']))).to.deep.include({ isCrowded: false, waiting: ['content-uid'] });
    expect(readContent(new Set(['192.0.2.1']))).to.equal(undefined);
  });

  it('reads only so much of the sockets of a pod, and then finds none that waits', async () => {
    await listen('sallyport.dev/wait/content-uid');
    for (let at = 0; at < 1_800; at++) await listen(String(at).padStart(100, 'x'));

    expect(readContent(new Set(['127.0.0.1']))).to.deep.include({ isCrowded: true, waiting: [] });
  });
});

describe('listNamespaces', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'netns-'));
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('leaves out files over which nothing is mounted yet', () => {
    writeFileSync(join(directory, 'cni-1'), '');

    expect(listNamespaces(directory)).to.deep.equal([]);
  });

  it('finds none where there is no directory', () => {
    expect(listNamespaces(join(directory, 'missing'))).to.deep.equal([]);
  });
});

describe('openNamespaces', () => {
  it('says what is missing when it is asked to enter a file that is no namespace', function () {
    if (process.platform !== 'linux') this.skip();
    const enter = openNamespaces((reason) => {
      throw new Error(reason);
    });

    expect(() => enter('/etc/hostname', () => 1)).to.throw(/cannot enter the network namespace \/etc\/hostname.*CAP_SYS_ADMIN/);
  });
});
