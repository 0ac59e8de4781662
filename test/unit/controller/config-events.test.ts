import { expect } from 'chai';
import type { KubeEvent } from '../../../src/cluster/recorder.ts';
import { createConfigEvents, REPEAT_MS } from '../../../src/controller/config-events.ts';
import { createFakeClock, until } from '../../support/fake-clock.ts';

describe('events about the configuration', () => {
  it('say why it is refused until it is accepted', async () => {
    const clock = createFakeClock();
    const events: KubeEvent[] = [];
    const regarding = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'system', name: 'sallyport' };
    const uidOf = async (): Promise<string> => 'uid';
    const one = createConfigEvents({ regarding, uidOf, recorder: { record: (event) => events.push(event) }, clock });
    one.onReload('failure', { error: 'mesh: bad', needsRestart: false });
    one.onReload('failure', { error: 'mesh: worse', needsRestart: false });
    clock.advance(2 * REPEAT_MS);
    one.onReload('success', { error: '', needsRestart: false });
    one.onReload('success', { error: '', needsRestart: true });
    clock.advance(2 * REPEAT_MS);
    await until(() => events.length === 6, 'the events');
    const worse = 'Warning ConfigurationRejected: mesh: worse';
    expect(events.map(({ type, reason, note }) => `${type} ${reason}: ${note}`)).to.deep.equal([
      'Warning ConfigurationRejected: mesh: bad',
      worse,
      worse,
      worse,
      'Normal ConfigurationAccepted: The configuration is active',
      'Normal ConfigurationAccepted: Settings below mesh, jwks.servers, logLevel and logFormat are active; others need a restart',
    ]);
    for (const event of events) expect(event.regarding).to.deep.equal({ ...regarding, uid: 'uid' });
    one.onReload('failure', { error: 'mesh: bad', needsRestart: false });
    one.stop();
    clock.advance(REPEAT_MS);
    await until(() => events.length === 7, 'the last event');
    expect(clock.pending()).to.deep.equal([]);
  });
});
