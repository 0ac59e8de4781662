/*
 * The chart uninstalled by Helm and installed again, on a real API server: with the Secret of the signing keys, which Helm does not own,
 * and without it.
 */
import { expect } from 'chai';
import { deleteObject, readObject } from '../../src/cluster/objects.ts';
import { SECRETS } from '../../src/cluster/paths.ts';
import { runCommand } from '../support/cli-context.ts';
import { type MountedAgent, mountAgent } from '../support/mounted-agent.ts';
import { trustOf } from '../support/policy-cluster.ts';
import { guardedPod, must, SHOP, SYSTEM, setUpTenant, type TenantStage } from '../support/tenant-stage.ts';

const AP = 'AuthorizationPolicy';
const DENY_ADMIN = { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }] };
const SECRET = { resource: SECRETS, namespace: SYSTEM, name: 'sallyport-signing-keys' };

async function agentOf(at: TenantStage): Promise<MountedAgent> {
  const { anchor } = await trustOf(at.cluster.client);
  return mountAgent(at.cluster.configMap, { namespace: SHOP, kind: 'pod', name: 'web' }, anchor);
}

async function untilEnforced(at: TenantStage, agent: MountedAgent, ...names: readonly string[]): Promise<void> {
  await at.see(async () => {
    await agent.sync();
    return agent.rules()?.toSorted().join() === names.toSorted().join();
  }, `the agent to enforce ${names.join()}`);
}

describe('the chart, uninstalled and installed again', function () {
  this.timeout(180_000);
  const at = setUpTenant();
  let agent: MountedAgent;

  before(async () => {
    must(at.kubectl('tenant', ['create', '-f', '-'], guardedPod('web')));
    agent = await agentOf(at);
    await at.cluster.policy(AP, 'one', SHOP, DENY_ADMIN);
    await untilEnforced(at, agent, 'one');
  });

  after(() => agent?.close());

  it('leaves agents with their last bundle meanwhile, and goes on with the Secret that it left', async () => {
    const { anchor } = await trustOf(at.cluster.client);
    await at.uninstall();
    expect(await readObject(at.cluster.client, SECRET), 'the Secret').not.to.equal(undefined);
    await at.cluster.policy(AP, 'two', SHOP, DENY_ADMIN);
    await agent.sync();
    await agent.restart();
    expect(agent.rules()).to.deep.equal(['one']);

    await at.install();
    await untilEnforced(at, agent, 'one', 'two');
    expect((await trustOf(at.cluster.client)).anchor).to.equal(anchor);
    expect(agent.refused).to.deep.equal([]);
  });

  it('publishes nothing without the Secret until it is reset, and then only for new pods', async () => {
    await at.uninstall();
    // As `kubectl delete namespace sallyport-system` does.
    await deleteObject(at.cluster.client, SECRET);
    await at.install();
    const ready = async (): Promise<string | undefined> => (await at.cluster.condition(AP, 'one', SHOP, 'Ready'))?.reason;
    await at.see(async () => (await ready()) === 'SigningKeysMissing', 'the condition');
    expect(await readObject(at.cluster.client, SECRET), 'new keys').to.equal(undefined);
    await agent.sync();
    expect(agent.rules()?.toSorted()).to.deep.equal(['one', 'two']);

    const { exitCode, stderr } = await runCommand(['keys', 'reset', '--yes', '--kubeconfig', at.plane.kubeconfigPath]);
    expect(exitCode, stderr).to.equal(0);
    const enforced = async (): Promise<string> => (await at.cluster.condition(AP, 'one', SHOP, 'Enforced'))?.message ?? '';
    await at.see(
      async () => (await enforced()).includes('root key that is not of this installation; replace the pod'),
      'the pod of before',
    );
    await agent.sync();
    expect(agent.rules()?.toSorted(), 'the pod of before').to.deep.equal(['one', 'two']);
    await at.cluster.deletePod(SHOP, 'web');
    await at.cluster.pod({ namespace: SHOP, name: 'web', labels: { app: 'web' } });
    await agent.close();
    agent = await agentOf(at);
    await untilEnforced(at, agent, 'one', 'two');
  });
});
