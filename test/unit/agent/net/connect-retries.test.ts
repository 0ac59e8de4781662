/* Retries of a connection to the application. */
import { once } from 'node:events';
import { expect } from 'chai';
import { ConnectRetries } from '../../../../src/agent/net/connect-retries.ts';

describe('ConnectRetries', () => {
  it('tries twice more, and then no more', async () => {
    const tries = new EventTarget();
    const retries = new ConnectRetries(() => tries.dispatchEvent(new Event('try')));

    for (let nth = 0; nth < 2; nth += 1) {
      const tried = once(tries, 'try');
      expect(retries.schedule()).to.equal(true);
      await tried;
      expect(retries.cancel(), 'nothing is to come after a try').to.equal(false);
    }

    expect(retries.schedule()).to.equal(false);
    expect(retries.cancel()).to.equal(false);
  });

  it('does not try any more once cancelled', async () => {
    let tries = 0;
    const cancelled = new ConnectRetries(() => (tries += 1));
    expect(cancelled.schedule()).to.equal(true);
    expect(cancelled.cancel()).to.equal(true);
    expect(cancelled.cancel()).to.equal(false);

    // As long as both delays of another one take.
    await new Promise<void>((resolve) => {
      const other = new ConnectRetries(() => {
        if (other.schedule()) return;
        resolve();
      });
      other.schedule();
    });
    expect(tries).to.equal(0);
  });
});
