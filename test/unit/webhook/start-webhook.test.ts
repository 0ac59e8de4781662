/* The running webhook: readiness depends on its certificate. */
import { expect } from 'chai';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import { RefusedError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { startWebhook, webhookNames } from '../../../src/webhook/start-webhook.ts';
import { createTestFacts } from '../../support/admission-facts.ts';
import { startAdmissionWorker } from '../../support/admission-worker.ts';
import { createFakeClock, until } from '../../support/fake-clock.ts';

const DAY_MS = 86_400_000;

describe('startWebhook', () => {
  it('is ready once it serves a certificate, until that expires, and stops when the signal aborts', async () => {
    let secret: Record<string, unknown> = { metadata: { resourceVersion: '1' } };
    const request = (sent: KubeRequest): Promise<{ status: number; json: unknown }> => {
      if (!sent.path.endsWith('/secrets/sallyport-webhook')) return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'not found'));
      if (sent.method === 'PATCH') secret = { ...secret, data: (sent.body as { data: object }).data };
      return Promise.resolve({ status: 200, json: secret });
    };
    const clock = createFakeClock();
    const stopping = new AbortController();
    let isLeader = false;

    const webhook = await startWebhook(
      {
        client: { request } as unknown as KubeClient,
        host: '127.0.0.1',
        port: 0,
        namespace: 'system',
        service: 'sallyport',
        injection: { image: 'example/agent:1', version: '1' },
        facts: createTestFacts(),
        portsFor: () => undefined,
        whyOverBudget: () => undefined,
        startWorker: startAdmissionWorker,
        isLeader: () => isLeader,
        clock,
        logger: createLogger({ level: 'silent', component: 'test' }),
      },
      stopping.signal,
    );
    // Besides, the thread of admission is asked for signs of life.
    await until(() => clock.pending().length === 2, 'the first pass');
    expect(webhook.check()).to.equal('no serving certificate yet');

    isLeader = true;
    clock.advance(1_000);
    await until(() => webhook.check() === undefined, 'a certificate');
    expect(webhook.port).to.be.greaterThan(0);
    // New agents trust the feed by the authority of this certificate, which is sent to the thread.
    clock.advance(10);

    isLeader = false;
    await until(() => clock.pending().length === 2, 'the next pass');
    clock.advance(31 * DAY_MS);
    expect(webhook.check()).to.equal('the serving certificate has expired');

    stopping.abort();
    await webhook.stop();
  });

  it('derives the names that the chart uses', () => {
    expect(webhookNames('sallyport')).to.deep.equal({
      secret: 'sallyport-webhook',
      mutatingConfiguration: 'sallyport-injection',
      validatingConfiguration: 'sallyport-validation',
    });
  });
});
