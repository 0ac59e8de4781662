/*
 * The Node.js of the agent's image makes no session tickets: no agent resumes a session.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { freePorts } from '../cluster/wait.ts';
import { agentCommand } from '../support/agent-flags.ts';
import { issue, newAuthority } from '../support/certificates.ts';
import { until } from '../support/fake-clock.ts';

const SERVER = join(import.meta.dirname, '../bench/support/bare-tls.ts');

describe('the OpenSSL of an agent', () => {
  let directory: string;
  let files: readonly string[];
  let secrets: { readonly cert: string; readonly key: string; readonly ca: string };
  const children: ChildProcess[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-tickets-'));
    const authority = await newAuthority('mesh');
    const { certPem, keyPem } = await issue(authority, { uris: ['spiffe://cluster.local/ns/foo/sa/httpbin'] });
    secrets = { cert: certPem, key: keyPem, ca: authority.certPem };
    files = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(directory, name));
    for (const [at, text] of [certPem, keyPem, authority.certPem].entries()) await writeFile(files[at] ?? '', text);
  });
  after(async () => {
    for (const child of children) {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    }
    await rm(directory, { recursive: true });
  });

  /** Tickets that a server sends until the end of a connection. */
  const ticketsOf = async ([file = '', ...args]: readonly string[]): Promise<number> => {
    const [port = 0] = await freePorts(1);
    children.push(spawn(file, [...args, SERVER, String(port), ...files], { stdio: ['ignore', 'ignore', 'inherit'] }));
    const answers = (): Promise<boolean> =>
      new Promise((resolve) => {
        const probe = connectTcp(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
        probe.once('connect', () => probe.destroy());
      });
    await until(answers, 'the server');
    const socket = connect({ port, host: '127.0.0.1', ...secrets, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    let tickets = 0;
    socket.on('session', () => {
      tickets += 1;
    });
    socket.end('GET / HTTP/1.1\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    return tickets;
  };

  it('makes no tickets, which Node.js makes by default', async () => {
    expect([await ticketsOf(agentCommand()), await ticketsOf([process.execPath])]).to.deep.equal([0, 2]);
  });
});
