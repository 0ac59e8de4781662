/*
 * The program that sets the redirects of a node, with real network namespaces and a real API server: pods start with their rules or not at
 * all, whatever happens to the program, and running pods keep theirs.
 */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import {
  addressesOf,
  createNamespaceDirectory,
  createNodePod,
  initStateOf,
  type NamespaceDirectory,
  type NodePod,
  type Process,
  startInit,
  startNodeProgram,
} from '../support/node-program.ts';
import { createPodNetwork, POD_IPV4, POD_IPV6, type PodNetwork, requirePodNetwork } from '../support/pod-network.ts';
import { withDirectory } from '../support/temporary-directory.ts';

/** Prints what the port sends, or the error code. */
const ASK = `
  import { connect } from 'node:net';
  const [host, port] = process.argv.slice(1);
  let answer = '';
  connect({ host, port: Number(port) }).on('error', ({ code }) => console.log(code))
    .on('data', (chunk) => (answer += chunk)).on('end', () => console.log(answer));
`;
/** Sends the local port to every connection. */
const ECHO = `for (const port of [8080, 9000, 15006])
  require('node:net').createServer((s) => s.on('error', () => {}).end(String(port))).listen(port, '::', () => port === 15006 && console.log('open'))`;
/** Opens more abstract sockets than the program reads. */
const CROWD = `let left = 1_800;
  for (let at = left; at > 0; at--)
    require('node:net').createServer().listen('\\0' + String(at).padStart(100, 'x'), () => --left === 0 && console.log('open'))`;

describe('the program that sets the redirects of a node', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let directory: NamespaceDirectory;
  const networks: PodNetwork[] = [];
  const processes: Process[] = [];
  const pods: NodePod[] = [];

  before(async function () {
    this.timeout(1_200_000);
    await requirePodNetwork(this, 'the program that sets the redirects of a node');
    plane = await startControlPlane();
    client = createKubeClient({ kubeconfig: plane.kubeconfigPath, version: 'test', qps: 1000, burst: 1000 });
  });

  after(async () => {
    await client?.close();
    await plane?.stop();
  });

  beforeEach(async () => {
    directory = await createNamespaceDirectory();
  });

  afterEach(async () => {
    for (const { child } of processes.splice(0)) child.kill('SIGKILL');
    for (const pod of pods.splice(0)) await pod.remove().catch(() => undefined);
    await directory.remove();
    for (const network of networks.splice(0)) await network.close();
  });

  function start(programs?: string): Process {
    const options = { kubeconfig: plane.kubeconfigPath, directory: directory.path, ...(programs === undefined ? {} : { programs }) };
    const program = startNodeProgram(options);
    processes.push(program);
    return program;
  }

  /** A network namespace that the runtime has mounted; addresses of both families, and one more of IPv4. */
  async function sandbox(address?: string): Promise<PodNetwork> {
    const network = await createPodNetwork();
    networks.push(network);
    if (address !== undefined) await network.execute(network.inside, 'ip', 'addr', 'add', `${address}/24`, 'dev', 'pod0');
    await directory.mount(network.inside);
    return network;
  }

  async function pod(name: string, annotations: Readonly<Record<string, string>> = {}): Promise<NodePod> {
    const made = await createNodePod(client, name, annotations);
    pods.push(made);
    return made;
  }

  function init(network: PodNetwork, { uid, args }: NodePod): Process {
    const started = startInit(network.inside, uid, args);
    processes.push(started);
    return started;
  }

  const rulesOf = ({ inside, execute }: PodNetwork, program = 'iptables'): Promise<string> => execute(inside, program, '-t', 'nat', '-S');
  const ask = ({ outside, script }: PodNetwork, host: string, port: number): Promise<string> => script(outside, ASK, host, String(port));
  const isRunning = ({ child }: Process): boolean => child.exitCode === null && child.signalCode === null;

  async function untilLogged(process: Process, text: string): Promise<void> {
    while (!process.log().includes(text)) {
      if (!isRunning(process)) throw new Error(`ended before it logged ${text}: ${process.log()}`);
      await sleep(20);
    }
  }

  /** Another pod starts: whatever the program does for others, it has looked at them. */
  async function untilAnotherStarted(name: string): Promise<void> {
    const other = await sandbox('10.98.0.77');
    const made = await pod(name);
    await made.report(addressesOf('10.98.0.77'));
    expect(await init(other, made).ended).to.equal(0);
  }

  it('opens a pod of both families that has waited for it, and its ports lead to the agent but for the excluded ones', async () => {
    const network = await sandbox();
    const web = await pod('late', { 'sallyport.dev/exclude-inbound-ports': '9000' });
    await web.report(addressesOf(POD_IPV4, POD_IPV6));
    const waiting = init(network, web);
    await untilLogged(waiting, 'is its pod on node node1 ready?');
    expect(await rulesOf(network)).to.not.contain('SALLYPORT');

    start();

    expect(await waiting.ended).to.equal(0);
    await network.start(network.inside, [process.execPath, '-e', ECHO]);
    for (const host of [POD_IPV4, POD_IPV6]) {
      expect(await ask(network, host, 8080)).to.equal('15006');
      expect(await ask(network, host, 9000)).to.equal('9000');
    }
  });

  it('opens a pod of IPv4 only', async () => {
    const network = await sandbox();
    await network.execute(network.inside, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6');
    const web = await pod('ipv4');
    await web.report(addressesOf(POD_IPV4));
    start();

    expect(await init(network, web).ended).to.equal(0);
    expect(await rulesOf(network, 'ip6tables')).to.not.contain('SALLYPORT');
  });

  it('keeps a pod closed when it is killed between the families, and the next one opens it', async () => {
    await withDirectory({}, async (programs) => {
      for (const name of ['ip6tables', 'ip6tables-restore']) {
        await writeFile(join(programs, name), '#!/bin/sh\nkill -KILL $PPID\n');
        await chmod(join(programs, name), 0o755);
      }
      const network = await sandbox();
      const web = await pod('between');
      await web.report(addressesOf(POD_IPV4, POD_IPV6));
      const waiting = init(network, web);
      const killed = start(programs);
      await killed.ended;
      expect(killed.child.signalCode).to.equal('SIGKILL');
      expect(await rulesOf(network)).to.contain('SALLYPORT_CANARY');
      expect(await rulesOf(network, 'ip6tables')).to.not.contain('SALLYPORT');
      expect(isRunning(waiting)).to.equal(true);

      start();

      expect(await waiting.ended).to.equal(0);
      expect((await rulesOf(network)).match(/-A PREROUTING/g)).to.have.length(1);
      expect(await rulesOf(network, 'ip6tables')).to.contain('SALLYPORT_INBOUND');
    });
  });

  it('sets the redirect again when the sandbox of a pod is created again, as after a reboot of the node', async () => {
    const first = await sandbox();
    const web = await pod('again');
    await web.report(addressesOf(POD_IPV4, POD_IPV6));
    start();
    expect(await init(first, web).ended).to.equal(0);
    await web.report(initStateOf({ terminated: { exitCode: 0 } }));
    await directory.unmount(first.inside);
    await first.close();

    const second = await sandbox();
    const waiting = init(second, web);
    await web.report(initStateOf({ running: { startedAt: '2026-01-01T00:00:00Z' } }));

    expect(await waiting.ended).to.equal(0);
    expect(await rulesOf(second)).to.contain('SALLYPORT_INBOUND');
  });

  it('leaves the namespace of a pod alone that was deleted while it waited', async () => {
    const network = await sandbox();
    const web = await pod('deleted');
    const waiting = init(network, web);
    await untilLogged(waiting, 'waiting until');
    const program = start();
    await untilLogged(program, 'node program started');
    await web.remove();

    await untilAnotherStarted('after-deleted');

    expect(await rulesOf(network)).to.not.contain('SALLYPORT');
    expect(isRunning(waiting)).to.equal(true);
  });

  it('leaves a namespace alone that has the address of a waiting pod and in which another one runs', async () => {
    const network = await sandbox();
    const gone = await pod('gone');
    await gone.report(addressesOf(POD_IPV4, POD_IPV6));
    start();

    await untilAnotherStarted('after-gone');

    expect(await rulesOf(network)).to.not.contain('SALLYPORT');
  });

  it('leaves a pod alone that has thousands of sockets, says so once, and serves others', async () => {
    const network = await sandbox();
    const crowd = await pod('crowd');
    await crowd.report(addressesOf(POD_IPV4, POD_IPV6));
    await network.start(network.inside, [process.execPath, '-e', CROWD]);
    const waiting = init(network, crowd);
    await untilLogged(waiting, 'waiting until');
    const program = start();

    await untilLogged(program, 'too many Unix sockets');
    await untilAnotherStarted('after-crowd');

    expect(await rulesOf(network)).to.not.contain('SALLYPORT');
    expect(program.log().match(/too many Unix sockets/g)).to.have.length(1);
  });

  it('leaves running pods guarded when it is killed, started again, and replaced', async () => {
    const network = await sandbox();
    const web = await pod('running', { 'sallyport.dev/exclude-inbound-ports': '9000' });
    await web.report(addressesOf(POD_IPV4, POD_IPV6));
    const first = start();
    expect(await init(network, web).ended).to.equal(0);
    await web.report(initStateOf({ terminated: { exitCode: 0 } }));
    await network.start(network.inside, [process.execPath, '-e', ECHO]);
    const before = await rulesOf(network);
    const check = async (): Promise<void> => {
      expect(await rulesOf(network)).to.equal(before);
      expect(await ask(network, POD_IPV4, 8080)).to.equal('15006');
      expect(await ask(network, POD_IPV6, 8080)).to.equal('15006');
    };

    first.child.kill('SIGKILL');
    await first.ended;
    await check();
    const second = start();
    await untilAnotherStarted('next');
    await check();
    second.child.kill('SIGTERM');
    expect(await second.ended).to.equal(0);
    await check();
  });

  it('says why it sets nothing when no namespace is where it looks', async () => {
    const web = await pod('nowhere');
    await web.report(addressesOf('10.98.0.99'));
    const program = start();

    await untilLogged(program, `no network namespace is mounted below ${directory.path}`);
    expect(program.log()).to.contain('"pods":["default/nowhere"]');
  });
});
