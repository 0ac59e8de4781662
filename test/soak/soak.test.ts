/*
 * One minute of the soak test (`npm run soak` runs ten).
 */
import { expect } from 'chai';
import { faultsOf, soak, tableOf } from './soak.ts';

const SECONDS = 60;
const WARM_UP_SECONDS = 20;
const KILL_EVERY_SECONDS = 4;
/** In its first minute an agent still grows into its caches and its heap. */
const GROWTH_MIB = 20;

describe('soak', () => {
  it('gives no wrong verdict for a minute of reloads, kills and hostile clients, and leaves nothing behind', async function () {
    this.timeout(600_000);
    const report = await soak({
      seconds: SECONDS,
      warmUpSeconds: WARM_UP_SECONDS,
      killEverySeconds: KILL_EVERY_SECONDS,
      progress: () => {},
    });
    process.stdout.write(
      `${tableOf(report)
        .map(([name, value]) => `      ${name.padEnd(38)} ${value}`)
        .join('\n')}\n`,
    );

    expect(faultsOf(report, GROWTH_MIB)).to.deep.equal([]);
  });
});
