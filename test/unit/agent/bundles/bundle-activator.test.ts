/*
 * Bundles and labels that change while a filter chain is built, which takes several turns of the event loop.
 */
import { expect } from 'chai';
import { BundleActivator } from '../../../../src/agent/bundles/bundle-activator.ts';
import type { Bundle } from '../../../../src/bundle/bundle.ts';
import type { BundleFiles } from '../../../../src/bundle/decode.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import type { Program } from '../../../../src/policy/model/program.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../../../support/fake-clock.ts';
import { httpChain } from '../../filters/chains.ts';
import { ALLOW_ALL, bundleOf, DENY_ALL, filesOf, simpleBundle } from '../bundles.ts';

function filesWith(bundle: Bundle): BundleFiles {
  return Object.fromEntries(Object.entries(filesOf(bundle)).map(([name, text]) => [name, Buffer.from(text)]));
}

const filterChain = httpChain(() => {
  throw new Error('not asked');
});

describe('BundleActivator', () => {
  let built: Program[] = [];
  let active = 0;

  function activator(labels: Readonly<Record<string, string>> | undefined): BundleActivator {
    built = [];
    active = 0;
    return new BundleActivator({ workload: undefined, stateDir: undefined }, labels, {
      logger: createLogger({ level: 'silent', component: 'test' }),
      *createFilterChain(program) {
        built.push(program);
        for (let step = 0; step < 5; step += 1) yield;
        return filterChain;
      },
      onActive: () => {
        active += 1;
      },
      onUnmatched: () => undefined,
      onRejected: () => undefined,
    });
  }

  it('ends with the program for the labels that came while a filter chain was built', async () => {
    const variants = [
      { labels: { app: 'a' }, program: 0 },
      { labels: { app: 'b' }, program: 1 },
    ];
    const target = activator({ app: 'a' });
    await target.offer(filesWith(bundleOf([DENY_ALL, ALLOW_ALL], variants)));
    target.setLabels({ app: 'b' });
    const first = target.activate();
    target.setLabels({ app: 'a' });
    const second = target.activate();

    expect([(await first).kind, (await second).kind]).to.deep.equal(['active', 'active']);
    expect(built.at(-1)).to.deep.equal(DENY_ALL);
    expect(active).to.equal(built.length);
  });

  it('ends with the bundle that came while a filter chain was built', async () => {
    const target = activator(undefined);
    await Promise.all([target.offer(filesWith(simpleBundle(DENY_ALL))), target.offer(filesWith(simpleBundle(ALLOW_ALL)))]);

    expect(built.at(-1)).to.deep.equal(ALLOW_ALL);
    expect(active).to.equal(built.length);
  });

  it('activates a good bundle after one whose filter chain could not be built', async () => {
    active = 0;
    let broken = true;
    const failing = new BundleActivator({ workload: undefined, stateDir: undefined }, undefined, {
      logger: createLogger({ level: 'silent', component: 'test' }),
      *createFilterChain() {
        yield;
        if (broken) throw new Error('broken');
        return filterChain;
      },
      onActive: () => {
        active += 1;
      },
      onUnmatched: () => undefined,
      onRejected: () => undefined,
    });
    const first = await failing.offer(filesWith(simpleBundle(DENY_ALL)));
    broken = false;
    const second = await failing.offer(filesWith(simpleBundle(ALLOW_ALL)));

    expect([first.kind, second.kind, active]).to.deep.equal(['waiting', 'active', 1]);
  });

  it('needs identities until the policy that needs them is replaced, whatever comes of the next one', async () => {
    const needed: boolean[] = [];
    let asked = 0;
    let broken = true;
    const target: BundleActivator = new BundleActivator({ workload: undefined, stateDir: undefined }, undefined, {
      logger: createLogger({ level: 'silent', component: 'test' }),
      needsIdentities: ({ http }) => http.allow.attached,
      onIdentitiesNeeded: () => {
        asked += 1;
      },
      *createFilterChain({ http }) {
        needed.push(target.identities.isNeeded);
        yield;
        if (broken && !http.allow.attached) throw new Error('broken');
        return filterChain;
      },
      onActive: () => needed.push(target.identities.isNeeded),
      onUnmatched: () => undefined,
      onRejected: () => undefined,
    });
    expect(target.identities.isNeeded).to.equal(false);
    await target.offer(filesWith(simpleBundle(DENY_ALL)));
    const failed = await target.offer(filesWith(simpleBundle(ALLOW_ALL)));
    expect([failed.kind, target.identities.isNeeded, asked]).to.deep.equal(['waiting', true, 1]);
    broken = false;
    await target.offer(filesWith(simpleBundle(ALLOW_ALL)));
    expect([target.identities.isNeeded, needed]).to.deep.equal([false, [true, true, true, true, false]]);
  });

  describe('with policies that ask for the identities of pods', () => {
    let clock: FakeClock;
    let log: string[];
    let areKnown: boolean;
    let target: BundleActivator;
    /** Asks for pods, as do all that deny. */
    const asking = (realm: string): Program => ({ ...DENY_ALL, trustedProxies: [realm] });
    const offer = async (bundle: Bundle): Promise<string> => (await target.offer(filesWith(bundle))).kind;
    beforeEach(() => {
      clock = createFakeClock();
      log = [];
      areKnown = false;
      target = new BundleActivator(
        { workload: undefined, stateDir: undefined, clock },
        { app: 'a' },
        {
          logger: createLogger({ level: 'silent', component: 'test' }),
          needsIdentities: ({ http }) => http.allow.attached,
          hasIdentities: () => areKnown,
          *createFilterChain({ trustedProxies: [realm = 'none'] }) {
            yield;
            return { ...filterChain, release: () => log.push(`released ${realm}`), evaluate: () => log.push(realm) as never };
          },
          onActive: (policy) => policy.filterChain.evaluate({} as never, 0),
          onUnmatched: () => log.push('withheld'),
          onRejected: () => undefined,
        },
      );
    });

    it('waits until pods are known, and does not build the same one again meanwhile', async () => {
      expect([await offer(simpleBundle(asking('10.0.0.1/32'))), target.enforced.digest]).to.deep.equal(['waiting', '']);
      expect([(await target.activate()).kind, log]).to.deep.equal(['waiting', []]);
      target.identities.onIdentities();
      expect([log, clock.pending(), (await target.activate()).kind]).to.deep.equal([['10.0.0.1/32'], [], 'active']);
      areKnown = true;
      expect([await offer(simpleBundle(asking('10.0.0.2/32'))), log]).to.deep.equal(['active', ['10.0.0.1/32', '10.0.0.2/32']]);
    });

    it('holds no policy for longer than the limit, also one that takes the place of another', async () => {
      const limit = LIMITS.identityWait.value;
      await offer(simpleBundle(asking('10.0.0.1/32')));
      clock.advance(limit - 1_000);
      await offer(simpleBundle(asking('10.0.0.2/32')));
      expect(log).to.deep.equal(['released 10.0.0.1/32']);
      clock.advance(1_000);
      expect(log).to.deep.equal(['released 10.0.0.1/32', '10.0.0.2/32']);
      await offer(simpleBundle(asking('10.0.0.3/32')));
      clock.advance(limit);
      expect(log.at(-1)).to.equal('10.0.0.3/32');
    });

    it('holds no policy that does not ask, and forgets the one that waits', async () => {
      await offer(simpleBundle(asking('10.0.0.1/32')));
      expect([await offer(simpleBundle(ALLOW_ALL)), log, clock.pending()]).to.deep.equal(['active', ['released 10.0.0.1/32', 'none'], []]);
      target.identities.onIdentities();
      await offer(simpleBundle(asking('10.0.0.2/32')));
      expect([await offer(simpleBundle(ALLOW_ALL)), log.slice(2)]).to.deep.equal(['active', ['released 10.0.0.2/32', 'none']]);
      expect(target.identities.isNeeded).to.equal(false);
    });

    it('does not activate a policy for labels that the pod has no more', async () => {
      target.setIndex({ namespace: 'foo', selectors: [{ app: 'b' }] });
      target.setLabels({ app: 'b' });
      expect([await offer(simpleBundle(asking('10.0.0.1/32'))), log]).to.deep.equal(['waiting', ['withheld']]);
      target.setLabels({ app: 'a' });
      await target.activate();
      target.setLabels({ app: 'b' });
      await target.activate();
      target.identities.onIdentities();
      expect([log, clock.pending()]).to.deep.equal([['withheld', 'released 10.0.0.1/32'], []]);
    });
  });
});
