/*
 * The redirect in a real network namespace: connections from outside reach the agent's ports, connections over loopback do not,
 * for IPv4 and IPv6, with each available iptables, also if it is applied twice.
 */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { installPackages } from '../cluster/prerequisites.ts';

const run = promisify(execFile);
const repository = new URL('../..', import.meta.url).pathname;
const inside = `sp-in-${process.pid}`;
const outside = `sp-out-${process.pid}`;
const apply = `
  import { applyRedirect } from '${repository}src/inject/redirect/apply-redirect.ts';
  const { programs } = await applyRedirect(process.argv.slice(1), new AbortController().signal);
  console.log(programs.join(' '));
`;
/** Sends the local port to every connection. */
const echo = `
  import { createServer } from 'node:net';
  let open = 0;
  const ports = process.argv.slice(1).map(Number);
  for (const port of ports) createServer((socket) => { socket.on('error', () => {}); socket.end(String(port)); })
    .listen(port, '::', () => { open += 1; if (open === ports.length) console.log('open'); });
`;
/** Prints what the address sends, or the error code. */
const ask = `
  import { createConnection } from 'node:net';
  const [host, port] = process.argv.slice(1);
  let answer = '';
  createConnection({ host, port: Number(port) }).on('data', (chunk) => (answer += chunk))
    .on('error', (error) => { console.log(error.code); }).on('end', () => { console.log(answer); });
`;

async function missingHere(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces need Linux and root';
  // If they cannot be installed, the check below reports what is missing.
  await installPackages().catch(() => undefined);
  for (const [program, flag] of [
    ['ip', '-V'],
    ['iptables', '-V'],
    ['ip6tables', '-V'],
  ] as const) {
    const found = await run(program, [flag]).catch(() => undefined);
    if (found === undefined) return `${program} is not installed`;
  }
  return undefined;
}

async function netns(name: string, ...command: readonly string[]): Promise<string> {
  const { stdout } = await run('ip', ['netns', 'exec', name, ...command], { env: { ...process.env, NODE_NO_WARNINGS: '1' } });
  return stdout.trim();
}

function script(name: string, source: string, ...args: readonly string[]): Promise<string> {
  return netns(name, process.execPath, '--input-type=module-typescript', '-e', source, ...args);
}

describe('redirect of a pod', () => {
  let server: ReturnType<typeof spawn> | undefined;

  before(async function () {
    this.timeout(300_000);
    const missing = await missingHere();
    if (missing !== undefined) {
      if (process.env['CI'] === 'true') throw new Error(`NOT CHECKED: ${missing}`);
      process.stderr.write(`NOT CHECKED: the redirect of a pod: ${missing}\n`);
      this.skip();
    }
    await run('ip', ['netns', 'add', inside]);
    await run('ip', ['netns', 'add', outside]);
    await run('ip', ['link', 'add', 'pod0', 'netns', inside, 'type', 'veth', 'peer', 'name', 'peer0', 'netns', outside]);
    for (const [name, link, host] of [
      [inside, 'pod0', '2'],
      [outside, 'peer0', '1'],
    ] as const) {
      await netns(name, 'ip', 'addr', 'add', `10.98.0.${host}/24`, 'dev', link);
      await netns(name, 'ip', '-6', 'addr', 'add', `fd98::${host}/64`, 'dev', link, 'nodad');
      await netns(name, 'ip', 'link', 'set', link, 'up');
      await netns(name, 'ip', 'link', 'set', 'lo', 'up');
    }
    const ports = ['8080', '9000', '7000', '15020', '15101', '15099'];
    server = spawn('ip', ['netns', 'exec', inside, process.execPath, '--input-type=module', '-e', echo, ...ports]);
    await new Promise((resolve, reject) => {
      server?.stdout?.once('data', resolve);
      server?.once('exit', () => reject(new Error('the server ended')));
    });
  });

  after(async () => {
    server?.kill();
    for (const name of [inside, outside]) await run('ip', ['netns', 'del', name]).catch(() => undefined);
  });

  it('allows all connections before it is applied', async () => {
    expect(await script(outside, ask, '10.98.0.2', '8080')).to.equal('8080');
    expect(await script(outside, ask, 'fd98::2', '7000')).to.equal('7000');
  });

  it('is applied for both families, twice with the same result', async () => {
    const args = ['--map', '8080:15101', '--exclude', '15020', '--exclude', '9000', '--blocked', '15099'];

    expect(await script(inside, apply, '--', ...args)).to.equal('iptables ip6tables');
    const once = await netns(inside, 'iptables', '-t', 'nat', '-S');
    expect(await script(inside, apply, '--', ...args)).to.equal('iptables ip6tables');
    expect(await netns(inside, 'iptables', '-t', 'nat', '-S')).to.equal(once);
  });

  const rows: readonly (readonly [string, string, string])[] = [
    ['a captured port', '8080', '15101'],
    ['an excluded port', '9000', '9000'],
    ["the agent's admin port", '15020', '15020'],
    ['an undeclared port', '7000', '15099'],
    ['a port without a listener', '7001', '15099'],
    ["the agent's own listening port", '15101', '15099'],
  ];
  for (const [name, port, answer] of rows) {
    it(`redirects connections from outside and ${name} to ${answer}`, async () => {
      expect(await script(outside, ask, '10.98.0.2', port)).to.equal(answer);
      expect(await script(outside, ask, 'fd98::2', port)).to.equal(answer);
    });
  }

  it('does not redirect connections inside the pod, to loopback and to its address', async () => {
    for (const host of ['127.0.0.1', '::1', '10.98.0.2', 'fd98::2']) {
      expect(await script(inside, ask, host, '8080')).to.equal('8080');
    }
  });

  it('does not redirect outgoing connections', async () => {
    const peer = spawn('ip', ['netns', 'exec', outside, process.execPath, '--input-type=module', '-e', echo, '8080']);
    await new Promise((resolve) => peer.stdout.once('data', resolve));
    try {
      expect(await script(inside, ask, '10.98.0.1', '8080')).to.equal('8080');
    } finally {
      peer.kill();
    }
  });

  it('fails with the reason when it has no permission to change the rules', async () => {
    const failed = await run(process.execPath, ['--input-type=module-typescript', '-e', apply, '--', '--blocked', '1'], {
      env: { PATH: '/nonexistent' },
    }).catch((error: Error) => error.message);

    expect(failed).to.contain('cannot redirect connections on this node');
  });
});
