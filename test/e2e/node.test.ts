/*
 * The test node itself, on which the other e2e suites depend: pods run from images built without Docker, names resolve,
 * Services reach pods, commands run in containers, packet filter rules of a pod redirect, and stopping leaves no trace.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { buildImage } from '../cluster/images.ts';
import type { TestNode } from '../cluster/node.ts';
import { startNode } from '../cluster/node.ts';
import { containerProcesses, network } from '../cluster/traces.ts';
import { printed } from './support/printed.ts';

const run = promisify(execFile);
const image = 'sallyport-test/smoke:test';
const server = `require('node:http').createServer((_, answer) => answer.end('hello from ' + process.version)).listen(8080)`;

const manifest = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        initContainers: [
          {
            name: 'redirect',
            image,
            imagePullPolicy: 'Never',
            command: ['sh', '-c', 'iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080 && echo redirected'],
            securityContext: { runAsUser: 0, capabilities: { add: ['NET_ADMIN'] } },
          },
        ],
        containers: [
          {
            name: 'web',
            image,
            imagePullPolicy: 'Never',
            args: ['-e', server],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
            securityContext: { runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
          },
        ],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 8000, targetPort: 80 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'client' },
      spec: { containers: [{ name: 'client', image, imagePullPolicy: 'Never', command: ['sleep', 'infinity'] }] },
    },
  ],
};

describe('the node for tests', () => {
  let node: TestNode;

  const kubectl = async (...args: readonly string[]): Promise<string> =>
    (await run(node.kubectlPath, [`--kubeconfig=${node.kubeconfigPath}`, '--namespace=smoke', ...args])).stdout;
  const inClient = (...command: readonly string[]): Promise<string> => printed(() => kubectl('exec', 'client', '--', ...command));

  before(async () => {
    const tar = await buildImage({ name: image, layers: ['node', 'busybox', 'curl', 'iptables'], entrypoint: ['/usr/local/bin/node'] });
    node = await startNode({ images: [tar] });
    await kubectl('create', 'namespace', 'smoke');
    const applying = run(node.kubectlPath, [`--kubeconfig=${node.kubeconfigPath}`, '--namespace=smoke', 'apply', '-f', '-']);
    applying.child.stdin?.end(JSON.stringify(manifest));
    await applying;
    await kubectl('wait', '--for=condition=Ready', 'pod/web', 'pod/client', '--timeout=60s');
  });

  after(async () => {
    await kubectl('delete', 'namespace', 'smoke', '--wait=false').catch(() => '');
    await node.stop();
  });

  it('is Ready', async () => {
    expect(await kubectl('get', 'node', node.nodeName, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')).to.equal('True');
  });

  it('resolves the names of Services in a pod', async () => {
    expect(await inClient('nslookup', 'kubernetes.default.svc.cluster.local')).to.contain(network.apiServiceIp);
    expect(await inClient('cat', '/etc/resolv.conf')).to.contain(network.dnsIp);
  });

  it('reaches a pod through its Service and the redirect in its network namespace', async () => {
    expect(await inClient('curl', '-sS', '--max-time', '5', 'http://web.smoke:8000/')).to.match(/^hello from v26\./);
  });

  it('runs a container as the user of its image', async () => {
    expect(await inClient('id', '-u')).to.equal('65532\n');
  });

  it('returns the logs of a pod', async () => {
    expect(await kubectl('logs', 'web', '-c', 'redirect')).to.equal('redirected\n');
  });

  it('provides helm', async () => {
    const { stdout } = await run(node.helmPath, ['list', '-A', `--kubeconfig=${node.kubeconfigPath}`, '-o', 'json']);

    expect(JSON.parse(stdout)).to.be.an('array');
  });

  it('leaves no process, mount, interface, packet filter rule, control group or file when stopped', async function () {
    if (process.env['SALLYPORT_TEST_CLUSTER']) return this.skip();

    await node.stop();

    expect(containerProcesses(node.stateDir)).to.deep.equal([]);
    expect(commandLines().filter((line) => line.includes(node.stateDir))).to.deep.equal([]);
    expect(readFileSync('/proc/self/mounts', 'utf8')).to.not.contain(node.stateDir);
    expect(readdirSync('/sys/class/net').filter((name) => name.startsWith('sallyport') || name.startsWith('veth'))).to.deep.equal([]);
    expect(spawnSync('iptables-save', { encoding: 'utf8' }).stdout).to.not.match(/KUBE-|CNI-/);
    expect(existsSync('/sys/fs/cgroup/kubepods') || existsSync('/sys/fs/cgroup/memory/kubepods')).to.equal(false);
    expect(existsSync(node.stateDir)).to.equal(false);
  });
});

function commandLines(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return ''; // it has ended
      }
    });
}
