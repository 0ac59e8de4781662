/*
 * The redirect in a real network namespace: connections from outside reach the agent's ports, connections over loopback do not,
 * for IPv4 and IPv6, with each available iptables, also if it is applied twice.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import {
  APPLY_REDIRECT,
  CLIENT_IPV4,
  createPodNetwork,
  POD_IPV4,
  POD_IPV6,
  type PodNetwork,
  requirePodNetwork,
} from '../support/pod-network.ts';

const run = promisify(execFile);
/** Sends the local port to every connection. */
const echo = `
  import { createServer } from 'node:net';
  let open = 0;
  const ports = process.argv.slice(1).map(Number);
  for (const port of ports) createServer((socket) => { socket.on('error', () => {}); socket.end(String(port)); })
    .listen(port, '::', () => { open += 1; if (open === ports.length) console.log('open'); });
`;
const ECHO = [process.execPath, '--input-type=module', '-e', echo, '--'];
/** Prints what the address sends, or the error code. */
const ask = `
  import { createConnection } from 'node:net';
  const [host, port] = process.argv.slice(1);
  let answer = '';
  createConnection({ host, port: Number(port) }).on('data', (chunk) => (answer += chunk))
    .on('error', (error) => { console.log(error.code); }).on('end', () => { console.log(answer); });
`;

interface Way {
  readonly name: string;
  readonly args: readonly string[];
  /** What is asked, its port, and the port that answers. */
  readonly rows: readonly (readonly [string, string, string])[];
}

const ALL = ['--all', '15006', '--exclude', '15020'];
const WAYS: readonly Way[] = [
  {
    name: 'redirect of all ports',
    args: [...ALL, '--exclude', '9000'],
    rows: [
      ['a port', '8080', '15006'],
      ['another port', '7000', '15006'],
      ['a port without a listener', '7001', '15006'],
      ['an excluded port', '9000', '9000'],
      ["the agent's admin port", '15020', '15020'],
      ["the agent's own listening port", '15006', '15006'],
    ],
  },
  {
    name: 'redirect of some ports',
    args: [...ALL, '--only', '8080'],
    rows: [
      ['a named port', '8080', '15006'],
      ['another port', '7000', '7000'],
      ["the agent's admin port", '15020', '15020'],
    ],
  },
  {
    name: 'redirect of earlier versions',
    args: ['--map', '8080:15101', '--exclude', '15020', '--exclude', '9000', '--blocked', '15099'],
    rows: [
      ['a captured port', '8080', '15101'],
      ['an excluded port', '9000', '9000'],
      ["the agent's admin port", '15020', '15020'],
      ['an undeclared port', '7000', '15099'],
      ['a port without a listener', '7001', '15099'],
      ["the agent's own listening port", '15101', '15099'],
    ],
  },
];

for (const { name, args, rows } of WAYS) {
  describe(name, () => {
    let network: PodNetwork | undefined;
    const at = (): PodNetwork => network as PodNetwork;

    before(async function () {
      this.timeout(300_000);
      await requirePodNetwork(this, name);
      network = await createPodNetwork();
      await network.start(network.inside, [...ECHO, '8080', '9000', '7000', '15020', '15101', '15099', '15006']);
    });

    after(async () => network?.close());

    it('allows all connections before it is applied', async () => {
      expect(await at().script(at().outside, ask, POD_IPV4, '8080')).to.equal('8080');
      expect(await at().script(at().outside, ask, POD_IPV6, '7000')).to.equal('7000');
    });

    it('is applied for both families, twice with the same result', async () => {
      const { inside, script, execute } = at();

      expect(await script(inside, APPLY_REDIRECT, ...args)).to.equal('iptables ip6tables');
      const once = await execute(inside, 'iptables', '-t', 'nat', '-S');
      expect(await script(inside, APPLY_REDIRECT, ...args)).to.equal('iptables ip6tables');
      expect(await execute(inside, 'iptables', '-t', 'nat', '-S')).to.equal(once);
    });

    for (const [what, port, answer] of rows) {
      it(`leads connections from outside to ${what} to ${answer}`, async () => {
        expect(await at().script(at().outside, ask, POD_IPV4, port)).to.equal(answer);
        expect(await at().script(at().outside, ask, POD_IPV6, port)).to.equal(answer);
      });
    }

    it('does not redirect connections inside the pod, to loopback and to its address', async () => {
      for (const host of ['127.0.0.1', '::1', POD_IPV4, POD_IPV6]) {
        expect(await at().script(at().inside, ask, host, '8080')).to.equal('8080');
      }
    });

    it('does not redirect outgoing connections', async () => {
      await at().start(at().outside, [...ECHO, '8080']);

      expect(await at().script(at().inside, ask, CLIENT_IPV4, '8080')).to.equal('8080');
    });
  });
}

describe('redirect', () => {
  it('fails with the reason when it has no permission to change the rules', async () => {
    const failed = await run(process.execPath, ['--input-type=module-typescript', '-e', APPLY_REDIRECT, '--', '--blocked', '1'], {
      env: { PATH: '/nonexistent' },
    }).catch((error: Error) => error.message);

    expect(failed).to.contain('cannot redirect connections on this node');
  });
});
