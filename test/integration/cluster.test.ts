/*
 * The test cluster itself, without a node, on which the other integration suites depend: it starts, serves, and stops without a
 * trace.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { refusedRequests } from '../cluster/audit.ts';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { startControlPlane } from '../cluster/control-plane.ts';

const run = promisify(execFile);

async function kubectl(cluster: ControlPlane, kubeconfig: string, ...args: readonly string[]): Promise<string> {
  return (await run(cluster.kubectlPath, [`--kubeconfig=${kubeconfig}`, ...args])).stdout;
}

function processesOf(state: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((command) => command.includes(state));
}

describe('the API server for tests', () => {
  it('keeps a namespace, and leaves no process and no file when stopped', async () => {
    const cluster = await startControlPlane();
    try {
      await kubectl(cluster, cluster.kubeconfigPath, 'create', 'namespace', 'foo');

      expect(await kubectl(cluster, cluster.kubeconfigPath, 'get', 'namespace', 'foo', '-o', 'name')).to.equal('namespace/foo\n');
      expect(processesOf(cluster.stateDir)).to.not.deep.equal([]);
    } finally {
      await cluster.stop();
    }

    expect(existsSync(cluster.stateDir)).to.equal(false);
    expect(processesOf(cluster.stateDir)).to.deep.equal([]);
  });

  it('stops with a killed test run, and the next start removes its files', async () => {
    const script = `import { startControlPlane } from ${JSON.stringify(new URL('../cluster/control-plane.ts', import.meta.url).href)};
      process.stdout.write((await startControlPlane()).stateDir);
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [state] = (await once(child.stdout, 'data')).map(String);
    child.kill('SIGKILL');
    await once(child, 'exit');

    await (await startControlPlane()).stop();

    expect(state).to.match(/sallyport-cluster-/);
    expect(existsSync(state ?? '')).to.equal(false);
    expect(processesOf(state ?? '')).to.deep.equal([]);
  });

  it('runs the controller manager and reads refused requests from the audit log', async () => {
    const cluster = await startControlPlane({ controllerManager: true, audit: true });
    try {
      await kubectl(cluster, cluster.kubeconfigPath, 'create', 'namespace', 'foo');
      await kubectl(cluster, cluster.kubeconfigPath, 'delete', 'namespace', 'foo', '--wait', '--timeout=30s');
      const nobody = await cluster.kubeconfigAs('nobody');
      const answer = await kubectl(cluster, nobody, 'get', 'pods', '-n', 'default').catch((error: Error) => error.message);

      expect(answer).to.contain('Forbidden');
      const refused = await refusedRequests(cluster.auditLogPath ?? '');
      expect(refused.filter((request) => request.user === 'nobody')).to.deep.equal([
        { user: 'nobody', verb: 'list', uri: '/api/v1/namespaces/default/pods?limit=500', code: 403 },
      ]);
    } finally {
      await cluster.stop();
    }
  });
});
