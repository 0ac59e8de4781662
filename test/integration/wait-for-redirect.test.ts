/*
 * The init container of a pod without NET_ADMIN, as a process in a real network namespace: it opens only when the packet filter redirects
 * every address family that the pod has, and reports what is missing until then.
 */
import type { ChildProcess } from 'node:child_process';
import { expect } from 'chai';
import { CLIENT_IPV4, createPodNetwork, POD_IPV4, type PodNetwork, requirePodNetwork } from '../support/pod-network.ts';

const ENTRY = new URL('../../src/main/redirect.ts', import.meta.url).pathname;
const ARGS = ['--all', '15006', '--exclude', '15020', '--exclude', '9000'];

/** Sets the redirect with the canary, for IPv4 only with the argument `4`; prints the programs. */
const SET = `
  import { setRedirect } from '${new URL('../..', import.meta.url).pathname}src/inject/redirect/apply-redirect.ts';
  import { parseRedirect } from '${new URL('../..', import.meta.url).pathname}src/inject/redirect/rules.ts';
  const [families, ...args] = process.argv.slice(1);
  const plan = { redirect: parseRedirect(args), hasIpv6: families !== '4', hasCanary: true };
  console.log((await setRedirect(plan, new AbortController().signal)).join(' '));
`;
/** Prints what a connection gets: the error code, or that it was accepted. */
const ASK = `
  import { connect } from 'node:net';
  const [host, port] = process.argv.slice(1);
  connect({ host, port: Number(port) }).on('error', ({ code }) => { console.log(code); process.exit(); })
    .on('connect', () => { console.log('connected'); process.exit(); });
`;

interface Waiting {
  readonly child: ChildProcess;
  /** What it has logged. */
  readonly log: () => string;
  /** Exit code. */
  readonly ended: Promise<number | null>;
}

describe('an init container that waits for its redirect', () => {
  let network: PodNetwork;
  const children: ChildProcess[] = [];

  before(async function () {
    this.timeout(300_000);
    await requirePodNetwork(this, 'the init container that waits');
  });

  beforeEach(async function () {
    this.timeout(30_000);
    network = await createPodNetwork();
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await network.close();
  });

  /** Started, and waiting. */
  async function wait(args: readonly string[] = ARGS): Promise<Waiting> {
    const env = { ...process.env, POD_UID: 'u-1', NODE_NAME: 'node7' };
    const child = await network.start(network.inside, [process.execPath, ENTRY, 'wait', ...args], env);
    children.push(child);
    let log = '';
    // `start` has taken the first line, which is a report.
    child.stdout?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    return { child, log: () => log, ended: new Promise((resolve) => child.once('exit', resolve)) };
  }

  const set = (families: '4' | '46'): Promise<string> => network.script(network.inside, SET, families, ...ARGS);
  const isWaiting = ({ child }: Waiting): boolean => child.exitCode === null && child.signalCode === null;
  const withoutIpv6 = async (): Promise<void> => {
    for (const where of ['all', 'default', 'lo'])
      await network.execute(network.inside, 'sh', '-c', `echo 1 > /proc/sys/net/ipv6/conf/${where}/disable_ipv6`);
  };

  it('opens when both families of a dual-stack pod are redirected', async () => {
    const waiting = await wait();
    expect(await set('46')).to.equal('iptables ip6tables');

    expect(await waiting.ended).to.equal(0);
    expect(waiting.log()).to.contain('"families":["IPv4","IPv6"]');
  }).timeout(30_000);

  it('stays closed after IPv4 alone, as when the program on the node ends between the families, and opens when the rest follows', async () => {
    const waiting = await wait();
    await set('4');
    const nat = await network.execute(network.inside, 'ip6tables', '-t', 'nat', '-S');
    expect(nat).to.not.contain('SALLYPORT');
    // Several attempts: each looks up the interfaces again and asks IPv4 first, so the packet counter of the canary counts them.
    await untilCanaryIsAsked(3);
    expect(isWaiting(waiting)).to.equal(true);

    await set('46');
    expect(await waiting.ended).to.equal(0);
    // The first rules were replaced, not doubled.
    const rules = await network.execute(network.inside, 'iptables', '-t', 'nat', '-S');
    expect(rules.match(/-A PREROUTING/g)).to.have.length(1);
    expect(rules.match(/-A OUTPUT/g)).to.have.length(1);
    expect(rules).to.contain('-A SALLYPORT_INBOUND -p tcp -m tcp --dport 9000 -j RETURN');
  }).timeout(30_000);

  async function untilCanaryIsAsked(times: number): Promise<void> {
    for (;;) {
      const table = await network.execute(network.inside, 'iptables', '-t', 'nat', '-nvxL', 'SALLYPORT_CANARY');
      if (Number(/^\s*(\d+)\s+\d+\s+REDIRECT/m.exec(table)?.[1] ?? 0) >= times) return;
    }
  }

  it('needs no IPv6 in a pod without it', async () => {
    await withoutIpv6();
    const waiting = await wait();
    await set('4');

    expect(await waiting.ended).to.equal(0);
    expect(waiting.log()).to.contain('"families":["IPv4"]');
  }).timeout(30_000);

  it('says whose redirect it waits for, where the program on the node sees it', async () => {
    const waiting = await wait();

    expect(await network.execute(network.inside, 'cat', '/proc/net/unix')).to.match(/@sallyport\.dev\/wait\/u-1$/m);
    waiting.child.kill('SIGKILL');
  }).timeout(30_000);

  it('does not take what answers elsewhere for the rules: they lead to its own socket', async () => {
    // Whatever listens on the canary port answers, and proves nothing.
    const other = `require('node:net').createServer((s) => s.destroy()).listen(15007, '::', () => console.log('open'))`;
    await network.start(network.inside, [process.execPath, '-e', other]);
    const waiting = await wait();
    expect(await network.script(network.inside, ASK, '127.0.0.1', '15007')).to.equal('connected');
    expect(isWaiting(waiting)).to.equal(true);

    await set('46');
    expect(await waiting.ended).to.equal(0);
  }).timeout(30_000);

  it('is not reached from outside, before the redirect and after it', async () => {
    const waiting = await wait();
    expect(await network.script(network.outside, ASK, POD_IPV4, '15006')).to.equal('ECONNREFUSED');
    await set('4');
    expect(await network.script(network.outside, ASK, POD_IPV4, '8080')).to.equal('ECONNREFUSED');
    expect(isWaiting(waiting)).to.equal(true);
  }).timeout(30_000);

  it('leaves connections of the pod to the canary port of others alone', async () => {
    await set('46');
    const server = `require('node:net').createServer((s) => s.destroy()).listen(15007, '::', () => console.log('open'))`;
    await network.start(network.outside, [process.execPath, '-e', server]);

    expect(await network.script(network.inside, ASK, CLIENT_IPV4, '15007')).to.equal('connected');
  }).timeout(30_000);

  it('ends when its pod is deleted, with the reason', async () => {
    const waiting = await wait();
    waiting.child.kill('SIGTERM');

    expect(await waiting.ended).to.equal(1);
    expect(waiting.log()).to.contain(
      'stopped: waiting until the DaemonSet of Sallyport redirects the connections of this pod (IPv4 and IPv6)',
    );
    expect(waiting.log()).to.contain('is its pod on node node7 ready?');
  }).timeout(30_000);

  it('refuses arguments that are not a redirect, with the exit code for configuration', async () => {
    const env = { ...process.env, POD_UID: 'u-1' };
    const child = await network.start(network.inside, [process.execPath, ENTRY, 'wait', '--all', 'x'], env);

    expect(await new Promise((resolve) => child.once('exit', resolve))).to.equal(78);
  }).timeout(30_000);
});
