import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { SUITES } from '../../../../scripts/test-runner/suites.ts';
import { activeResources, expectNoLeftovers, surplus } from '../../../support/leak-hooks.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const SHORT_MS = 100;
const root = join(import.meta.dirname, '../../../..');
const run = promisify(execFile);

async function messageOf(work: Promise<void>): Promise<string> {
  return work.then(
    () => 'no error',
    (thrown: unknown) => (thrown as Error).message,
  );
}

describe('leftovers of a suite', () => {
  it('fail it while a server listens, and no longer once it is closed', async () => {
    const before = await activeResources();
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));

    const message = await messageOf(expectNoLeftovers(before, SHORT_MS));
    server.close();

    expect(message).to.contain('still open: 1 TCPServerWrap');
    await expectNoLeftovers(before);
  });

  it('fail it while a timer runs, unless the timer keeps no process alive', async () => {
    const before = await activeResources();
    const timer = setInterval(() => undefined, 60_000);

    const message = await messageOf(expectNoLeftovers(before, SHORT_MS));
    timer.unref();

    expect(message).to.match(/^still open: 1 Timeout(, |$)/);
    await expectNoLeftovers(before);
    clearInterval(timer);
  });

  it('are only what was added, by type', () => {
    const before = new Map([
      ['Timeout', 2],
      ['TCPSocketWrap', 1],
    ]);

    expect(surplus(before, new Map([['Timeout', 1]]))).to.deep.equal([]);
    expect(
      surplus(
        before,
        new Map([
          ['TCPSocketWrap', 3],
          ['ProcessWrap', 1],
        ]),
      ),
    ).to.deep.equal(['2 TCPSocketWrap', '1 ProcessWrap']);
  });

  for (const { name, options, directories } of SUITES) {
    if (directories.length === 0 || name === 'unit') continue;
    it(`fail a run of the suite ${name}, also when all of its tests pass`, async () => {
      const leak = (what: string): string => `describe('a suite', () => { it('passes', () => { ${what} }); });`;
      const outcomeOf = async (what: string): Promise<string> =>
        withDirectory({ 'a.test.cjs': leak(what) }, async (directory) => {
          const args = [join(root, 'node_modules/mocha/bin/mocha.js'), ...options, join(directory, 'a.test.cjs')];
          const env = { PATH: process.env['PATH'] ?? '', SALLYPORT_LEAK_PATIENCE_MS: String(SHORT_MS) };
          const { stdout } = await run(process.execPath, args, { cwd: root, env }).catch((failure: { readonly stdout: string }) => failure);
          return stdout;
        });

      expect(await outcomeOf(''))
        .to.contain('1 passing')
        .and.to.not.contain('failing');
      const leaking = await outcomeOf("require('node:net').createServer().listen(0, '127.0.0.1');");
      expect(leaking).to.match(/1 passing.*1 failing.*leaves nothing behind.*still open: 1 TCPServerWrap/s);
    });
  }
});
