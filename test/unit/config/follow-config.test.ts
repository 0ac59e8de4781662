import { expect } from 'chai';
import { type ControllerConfig, loadControllerConfig } from '../../../src/config/controller.ts';
import { type ConfigFollower, followConfig } from '../../../src/config/follow-config.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { until } from '../../support/fake-clock.ts';

describe('followed configuration', () => {
  const logger = createLogger({ level: 'silent', component: 'test' });
  let follower: ConfigFollower | undefined;
  afterEach(() => follower?.stop());

  it('takes up new mesh settings, and keeps the last good ones when the file breaks', async () => {
    let fileText = '';
    let notified = 0;
    const reloads: string[] = [];
    const read = (): Promise<ControllerConfig> => Promise.resolve().then(() => loadControllerConfig({ args: [], env: {}, fileText }));
    follower = followConfig({
      first: loadControllerConfig({ args: [], env: {} }),
      read,
      logger,
      pollMs: 2,
      onReload: (result) => reloads.push(result),
    });
    follower.mesh.subscribe(() => {
      notified += 1;
    });

    fileText = 'mesh: { rootNamespace: one }';
    await until(() => notified === 1, 'the change');
    expect(follower.mesh.current().rootNamespace).to.equal('one');

    fileText = 'mesh: { rootNamespace: [] }';
    await until(() => reloads.includes('failure'), 'the refusal');
    expect(follower.mesh.current().rootNamespace).to.equal('one');

    fileText = 'mesh: { rootNamespace: two }';
    await until(() => notified === 2, 'the next change');
    expect(reloads).to.deep.equal(['success', 'failure', 'success']);
  });

  it('does not notify listeners of settings that are not mesh settings, and says that they need a restart', async () => {
    let notified = 0;
    const reloads: unknown[] = [];
    const read = (): Promise<ControllerConfig> => Promise.resolve(loadControllerConfig({ args: [], env: {}, fileText: 'workers: 9' }));
    follower = followConfig({
      first: loadControllerConfig({ args: [], env: {} }),
      read,
      logger,
      pollMs: 2,
      onReload: (result, reload) => reloads.push([result, reload]),
    });
    follower.mesh.subscribe(() => {
      notified += 1;
    });
    await until(() => reloads.length === 1, 'the reload');
    expect([notified, reloads]).to.deep.equal([0, [['success', { error: '', needsRestart: true }]]]);
  });

  it('takes up level and form of log lines without a restart', async () => {
    const lines: unknown[] = [];
    const reporting = Object.assign(createLogger({ level: 'silent', component: 'test' }), {
      info: (fields: unknown) => lines.push(fields),
    });
    let fileText = 'logLevel: debug\nlogFormat: text';
    const read = (): Promise<ControllerConfig> => Promise.resolve(loadControllerConfig({ args: [], env: {}, fileText }));
    follower = followConfig({ first: loadControllerConfig({ args: [], env: {} }), read, logger: reporting, pollMs: 2 });
    expect(follower.log()).to.include({ logLevel: 'info', logFormat: 'json' });

    await until(() => follower?.log().logLevel === 'debug', 'the change');
    expect(follower.log()).to.include({ logFormat: 'text' });
    fileText = 'logLevel: warn\nworkers: 9';
    await until(() => lines.length === 2, 'the next change');
    expect(lines).to.deep.equal([{ needsRestart: false }, { needsRestart: true }]);
  });

  for (const [what, startText, nextText, reason] of [
    ['needs a feed that is not there before the next start', '', 'feed: { enabled: true }', 'needs feed.enabled'],
    ['needs pods that are not read before the next start', 'watchNamespaces: [shop]', 'watchNamespaces: []', 'remove watchNamespaces'],
  ] as const)
    it(`refuses identities by address while it ${what}`, async () => {
      const rest = 'webhook: { enabled: true, agentImage: "example/agent:1" }\n';
      let fileText = `${rest}${startText}`;
      const reloads: string[] = [];
      const read = (): Promise<ControllerConfig> => Promise.resolve().then(() => loadControllerConfig({ args: [], env: {}, fileText }));
      follower = followConfig({
        first: await read(),
        read,
        logger,
        pollMs: 2,
        onReload: (result, { error }) => reloads.push(`${result} ${error}`),
      });

      fileText = `${rest}${nextText}\nmesh: { peerIdentity: { podIP: true } }`;
      await until(() => reloads.length === 1, 'the refusal');
      expect(reloads[0]).to.include(`failure mesh.peerIdentity.podIP: `).and.include(reason);
      expect(follower.mesh.current().peerIdentity.podIP).to.equal(false);
    });

  it('refuses another root namespace while only some namespaces are watched', async () => {
    let fileText = '';
    const reloads: string[] = [];
    const env = { SALLYPORT_WATCH_NAMESPACES: 'shop' };
    const read = (): Promise<ControllerConfig> => Promise.resolve().then(() => loadControllerConfig({ args: [], env, fileText }));
    follower = followConfig({ first: await read(), read, logger, pollMs: 2, onReload: (result) => reloads.push(result) });

    fileText = 'mesh: { rootNamespace: other, trustDomain: example.org }';
    await until(() => reloads.length === 1, 'the refusal');
    expect(follower.mesh.current()).to.include({ rootNamespace: 'istio-system', trustDomain: 'cluster.local' });
    fileText = 'mesh: { trustDomain: example.org }';
    await until(() => reloads.length === 2, 'the next change');
    expect(reloads).to.deep.equal(['failure', 'success']);
    expect(follower.mesh.current().trustDomain).to.equal('example.org');
  });

  it('reports the same error once, and again after the file was valid', async () => {
    let fileText = 'mesh: { rootNamespace: [] }';
    let reads = 0;
    const reloads: string[] = [];
    const read = (): Promise<ControllerConfig> => {
      reads += 1;
      return Promise.resolve().then(() => loadControllerConfig({ args: [], env: {}, fileText }));
    };
    const first = loadControllerConfig({ args: [], env: {} });
    follower = followConfig({ first, read, logger, pollMs: 2, onReload: (result) => reloads.push(result) });
    await until(() => reads >= 3, 'three reads');
    expect(reloads).to.deep.equal(['failure']);

    fileText = '';
    await until(() => reloads.length === 2, 'the valid file');
    fileText = 'mesh: { rootNamespace: [] }';
    await until(() => reloads.length === 3, 'the second report');
    expect(reloads).to.deep.equal(['failure', 'success', 'failure']);
  });

  it('stops notifying a listener that has unsubscribed', async () => {
    let fileText = 'mesh: { rootNamespace: one }';
    const notified: string[] = [];
    const read = (): Promise<ControllerConfig> => Promise.resolve(loadControllerConfig({ args: [], env: {}, fileText }));
    const { mesh, stop } = followConfig({ first: loadControllerConfig({ args: [], env: {} }), read, logger, pollMs: 2 });
    const unsubscribe = mesh.subscribe(() => notified.push('first'));
    mesh.subscribe(() => notified.push('second'));
    await until(() => notified.length === 2, 'the first change');
    unsubscribe();
    fileText = 'mesh: { rootNamespace: two }';
    await until(() => notified.length === 3, 'the second change');
    stop();
    expect(notified).to.deep.equal(['first', 'second', 'second']);
  });

  it('keeps the first configuration when there is no file', () => {
    const first = loadControllerConfig({ args: [], env: {} });
    follower = followConfig({ first, read: undefined, logger, pollMs: 1 });
    expect(follower.mesh.current()).to.equal(first.mesh);
  });
});
