import { expect } from 'chai';
import { DEFAULT_LIMITS } from '../../../src/agent/context.ts';
import { descriptorLimit, fitToDescriptors, isTooFew } from '../../../src/agent/descriptors.ts';
import { LIMITS } from '../../../src/limits/agent-limits.ts';

describe('limits fitted to file descriptors', () => {
  it('stay as they are when there are enough descriptors, or their number is unknown', () => {
    for (const descriptors of [1_048_576, undefined]) {
      expect(fitToDescriptors(DEFAULT_LIMITS, 2, descriptors)).to.deep.equal({
        limits: DEFAULT_LIMITS,
        maxAdminConnections: LIMITS.adminConnections.value,
      });
    }
  });

  for (const descriptors of [100, 256, 1024, 4096, 20_000]) {
    for (const ports of [1, 3]) {
      it(`leave a reserve of ${descriptors} descriptors for ${ports} ports`, () => {
        const { limits, maxAdminConnections } = fitToDescriptors(DEFAULT_LIMITS, ports, descriptors);
        const clients = limits.maxConnections;
        const used = ports * (2 * clients + Math.min(clients, LIMITS.idleUpstreamConnections.value)) + maxAdminConnections;
        expect(clients).to.be.greaterThan(0);
        expect(descriptors - used).to.be.within(
          LIMITS.reservedDescriptors.value,
          LIMITS.reservedDescriptors.value + 3 * ports + descriptors / 8,
        );
      });
    }
  }

  it('allow one connection when almost no descriptors are left', () => {
    expect(fitToDescriptors(DEFAULT_LIMITS, 1, 20).limits.maxConnections).to.equal(1);
  });

  it('are too low when they are below the number that was set, or below 1,000 when none was', () => {
    expect([isTooFew(9999, 10_000), isTooFew(10_000, 10_000)]).to.deep.equal([true, false]);
    expect([isTooFew(999, undefined), isTooFew(1000, undefined)]).to.deep.equal([true, false]);
  });

  it('are those of the process', () => {
    expect(descriptorLimit()).to.be.greaterThan(20);
  });
});
