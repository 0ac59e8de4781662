import { expect } from 'chai';
import type { KubeClient } from '../../../src/cluster/client.ts';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { NAMESPACES } from '../../../src/cluster/paths.ts';
import { createPolledObject } from '../../../src/cluster/polled-object.ts';
import { RefusedError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, until } from '../../support/fake-clock.ts';

const logger = createLogger({ level: 'silent', component: 'test' });

describe('a polled object', () => {
  it('is read again and again: an absent one is an empty list, missing rights are neither', async () => {
    const clock = createFakeClock();
    const stop = new AbortController();
    const lists: string[] = [];
    let forbidden = 0;
    let answer: () => RawObject = () => ({ metadata: { name: 'foo', resourceVersion: '1' } });
    const request = async ({ path }: { readonly path: string }): Promise<{ status: number; json: unknown }> => {
      expect(path).to.equal('/api/v1/namespaces/foo');
      return Promise.resolve().then(() => ({ status: 200, json: answer() }));
    };
    const polled = createPolledObject({
      client: { request } as unknown as KubeClient,
      ref: { resource: NAMESPACES, name: 'foo' },
      project: (raw) => raw.metadata?.resourceVersion,
      sink: { replace: (objects, version) => lists.push(`${[...objects].join()} at ${version}`) },
      logger,
      clock,
      random: () => 0.5,
      onForbidden: () => (forbidden += 1),
    });
    const running = polled.run(stop.signal);
    await polled.whenSynced;
    const next = async (): Promise<void> => {
      await until(() => clock.pending().length === 1, 'the wait for the next read');
      clock.advance(30_000);
      await until(() => clock.pending().length === 1, 'the read');
    };

    answer = () => {
      throw new RefusedError('SP_KUBE_FORBIDDEN', 'no');
    };
    await next();
    expect(forbidden).to.equal(1);
    answer = () => {
      throw new RefusedError('SP_KUBE_NOT_FOUND', 'no');
    };
    await next();
    expect(lists).to.deep.equal(['foo,1 at 1', ' at ']);
    expect(polled.hasSynced()).to.equal(true);

    stop.abort();
    await running;
  });
});
