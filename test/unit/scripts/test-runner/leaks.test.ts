import { createServer } from 'node:net';
import { expect } from 'chai';
import { activeResources, expectNoLeftovers, surplus } from '../../../support/leak-hooks.ts';

const SHORT_MS = 100;

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
});
