/*
 * The configuration of a controller on a real API server: a change that is refused leaves the last good one active, and is reported on the
 * ConfigMap that it is mounted from, by a metric and by `sallyport status`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readConfigurationProblems } from '../../src/cli/live/configuration-problems.ts';
import { setUp } from '../support/controller-stage.ts';

const SYSTEM = 'sallyport-system';

describe('the configuration on a real API server', function () {
  this.timeout(180_000);
  const at = setUp();
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-config-'));
  });
  after(() => rm(directory, { recursive: true }));

  it('is refused as a whole, reported where its author looks, and accepted when it is corrected', async () => {
    const file = join(directory, 'config.yaml');
    await writeFile(file, 'mesh: { rootNamespace: istio-system }\n');
    const { metadata } = await at.cluster.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: SYSTEM, name: 'sallyport' },
    });
    const two = await at.start('two', { SALLYPORT_CONFIG: file, SALLYPORT_CONFIG_MAP: 'sallyport' });
    const problems = async (): Promise<readonly string[] | undefined> => {
      const found = await readConfigurationProblems({ client: at.cluster.client }, { namespace: SYSTEM, nowMs: Date.now() });
      return found?.map(({ replica, message }) => `${replica} ${message}`);
    };
    const isValid = (): Promise<number | undefined> => two.metric('sallyport_config_last_reload_successful');
    await at.see(async () => (await two.get('/readyz')).status === 200, 'readiness');
    expect([await problems(), await isValid()]).to.deep.equal([[], 1]);

    await writeFile(file, 'mesh: { rootNamespace: [] }\n');
    await at.see(async () => (await isValid()) === 0, 'the refusal');
    await at.see(async () => (await problems())?.length === 1, 'the event');
    expect((await problems())?.[0]).to.match(/^two mesh\.rootNamespace: .*; the last good configuration stays active$/);
    const [event] = (await at.cluster.events(SYSTEM)).filter((one) => one['reason'] === 'ConfigurationRejected');
    expect(event?.['regarding']).to.include({ kind: 'ConfigMap', namespace: SYSTEM, name: 'sallyport', uid: metadata?.uid });
    expect((await two.get('/readyz')).status).to.equal(200);

    await writeFile(file, 'mesh: { rootNamespace: istio-system }\n');
    await at.see(async () => (await isValid()) === 1, 'the correction');
    await at.see(async () => (await problems())?.length === 0, 'the next event');
  });
});
