import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { isBelow, readRegularFile, textOf } from '../../src/regular-file.ts';
import { withDirectory } from '../support/temporary-directory.ts';

const MIB = 1024 * 1024;

async function reasonOf(path: string, maxBytes: number = MIB): Promise<string> {
  return readRegularFile(path, maxBytes).then(
    (text) => `read ${text.length}`,
    (error: Error) => error.message,
  );
}

describe('a regular file', () => {
  it('is read up to the limit', async () => {
    await withDirectory({ a: 'é'.repeat(MIB / 2) }, async (cwd) => {
      expect(await reasonOf(join(cwd, 'a'))).to.equal(`read ${MIB / 2}`);
      expect(await reasonOf(join(cwd, 'a'), MIB - 1)).to.match(/^larger than/);
    });
  });

  it('is read to its end when its size is unknown', async () => {
    expect(await reasonOf('/proc/self/status')).to.match(/^read [1-9]/);
    expect(await reasonOf('/proc/self/status', 10)).to.match(/^larger than/);
  });

  it('is refused by its size before anything is read', async () => {
    await withDirectory({ a: '' }, async (cwd) => {
      truncateSync(join(cwd, 'a'), 2 ** 40);

      expect(await reasonOf(join(cwd, 'a'))).to.equal('larger than 1 MiB');
    });
  });
});

describe('what is not a regular file', () => {
  it('is refused with its kind', async () => {
    await withDirectory({}, async (cwd) => {
      execFileSync('mkfifo', [join(cwd, 'fifo')]);
      mkdirSync(join(cwd, 'directory'));
      symlinkSync('/dev/zero', join(cwd, 'zero'));
      symlinkSync('loop', join(cwd, 'loop'));
      const server = createServer().listen(join(cwd, 'socket'));
      await once(server, 'listening');

      expect(await reasonOf(join(cwd, 'fifo'))).to.equal('not a regular file: it is a FIFO');
      expect(await reasonOf(join(cwd, 'directory'))).to.equal('not a regular file: it is a directory');
      expect(await reasonOf(join(cwd, 'zero'))).to.equal('not a regular file: it is a device');
      expect(await reasonOf(join(cwd, 'socket'))).to.match(/ENXIO|not a regular file/);
      expect(await reasonOf(join(cwd, 'loop'))).to.match(/ELOOP/);
      server.close();
    });
  });
});

describe('a text', () => {
  const read = (...bytes: readonly number[]): Promise<string> => textOf(Readable.from([Buffer.from(bytes)]), 100);

  it('is UTF-8, or UTF-16 with its byte order mark', async () => {
    expect(await read(0x61, 0xc3, 0xa9)).to.equal('a\u00e9');
    expect(await read(0xff, 0xfe, 0x61, 0, 0xe9, 0)).to.equal('a\u00e9');
    expect(await read(0xfe, 0xff, 0, 0x61, 0, 0xe9)).to.equal('a\u00e9');
    expect(await read(0xff, 0xfe)).to.equal('');
    expect(await read(0xff)).to.equal('\ufffd');
    expect(await read(0xfe, 0xff, 0)).to.equal('\ufffd\ufffd\0');
  });
});

describe('a stream', () => {
  it('is refused beyond the limit', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) yield Buffer.alloc(1000);
    }

    expect(await textOf(endless(), 10_000).catch((error: Error) => error.message)).to.match(/^larger than/);
  });
});

describe('isBelow', () => {
  it('follows links', async () => {
    await withDirectory({ 'a/real/x': '', 'ab/y': '' }, async (cwd) => {
      symlinkSync('real/x', join(cwd, 'a/inside'));
      symlinkSync('../ab/y', join(cwd, 'a/outside'));
      symlinkSync('a', join(cwd, 'link'));
      writeFileSync(join(cwd, 'a/plain'), '');

      expect(await isBelow(join(cwd, 'a'), join(cwd, 'a/plain'))).to.equal(true);
      expect(await isBelow(join(cwd, 'a'), join(cwd, 'a/inside'))).to.equal(true);
      expect(await isBelow(join(cwd, 'link'), join(cwd, 'link/inside'))).to.equal(true);
      expect(await isBelow(join(cwd, 'a'), join(cwd, 'a/outside'))).to.equal(false);
      expect(await isBelow('/', join(cwd, 'a/outside'))).to.equal(true);
    });
  });
});
