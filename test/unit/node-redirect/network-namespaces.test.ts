/* What is read of network namespaces; entering them is tested with real ones. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { listNamespaces, openNamespaces, waitingIn } from '../../../src/node-redirect/network-namespaces.ts';

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
