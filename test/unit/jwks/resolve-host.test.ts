import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createHostResolver, type HostAddress, type ResolveHost, resolveBySystem } from '../../../src/jwks/resolve-host.ts';
import { type NameServer, startNameServer } from '../../support/name-server.ts';

let server: NameServer;
let directory: string;

async function resolverOf(resolvConf: string, hosts = ''): Promise<ResolveHost> {
  writeFileSync(join(directory, 'resolv.conf'), resolvConf);
  writeFileSync(join(directory, 'hosts'), hosts);
  return createHostResolver({ hosts: join(directory, 'hosts'), resolvConf: join(directory, 'resolv.conf'), servers: [server.address] });
}

const found = async (resolve: ResolveHost, name: string): Promise<readonly HostAddress[]> => resolve(name, AbortSignal.timeout(60_000));

async function codeOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => 'resolved',
    (error: Error) => Reflect.get(error, 'code') ?? error.name,
  );
}

describe('resolver of the controller', () => {
  beforeEach(async () => {
    server = await startNameServer();
    directory = mkdtempSync(join(tmpdir(), 'resolver-'));
  });
  afterEach(() => {
    server.stop();
    rmSync(directory, { recursive: true });
  });

  it('returns all addresses of both families', async () => {
    server.answer('idp.example', { v4: ['192.0.2.1', '192.0.2.2'], v6: ['2001:db8::1'] });

    expect(await found(await resolverOf(''), 'IDP.example')).to.deep.equal([
      { address: '192.0.2.1', family: 4 },
      { address: '192.0.2.2', family: 4 },
      { address: '2001:db8::1', family: 6 },
    ]);
  });

  it('asks with search domains first when a name has fewer dots than ndots', async () => {
    server.answer('idp.auth.svc.cluster.local', { v4: ['192.0.2.3'] });
    server.answer('idp.auth', { v4: ['192.0.2.99'] });
    const resolve = await resolverOf('search foo.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n');

    expect(await found(resolve, 'idp.auth')).to.deep.equal([{ address: '192.0.2.3', family: 4 }]);
    expect([...new Set(server.asked)]).to.deep.equal(['idp.auth.foo.svc.cluster.local', 'idp.auth.svc.cluster.local']);
  });

  it('asks for the name itself first when it has as many dots as ndots', async () => {
    server.answer('idp.example', { v4: ['192.0.2.4'] });

    expect(await found(await resolverOf('search cluster.local\n'), 'idp.example')).to.deep.equal([{ address: '192.0.2.4', family: 4 }]);
    expect([...new Set(server.asked)]).to.deep.equal(['idp.example']);
  });

  it('asks with search domains first when a name has one dot less than ndots', async () => {
    server.answer('idp.example.cluster.local', { v4: ['192.0.2.6'] });
    server.answer('idp.example', { v4: ['192.0.2.99'] });

    const resolve = await resolverOf('search cluster.local\noptions ndots:2\n');
    expect(await found(resolve, 'idp.example')).to.deep.equal([{ address: '192.0.2.6', family: 4 }]);
    server.answer('a.idp.example', { v4: ['192.0.2.7'] });
    expect(await found(resolve, 'a.idp.example')).to.deep.equal([{ address: '192.0.2.7', family: 4 }]);
    expect(server.asked.at(-1)).to.equal('a.idp.example');
  });

  it('adds no search domain to a name that ends in a dot', async () => {
    expect(await codeOf(found(await resolverOf('search cluster.local\noptions ndots:5\n'), 'idp.example.'))).to.equal('ENOTFOUND');
    expect([...new Set(server.asked)]).to.deep.equal(['idp.example']);
  });

  it('takes names from the hosts file without asking', async () => {
    const resolve = await resolverOf('', '127.0.0.1 localhost\n192.0.2.5 idp.example IdP # comment other\n2001:db8::5 idp\nnonsense idp\n');

    expect(await found(resolve, 'idp')).to.deep.equal([
      { address: '192.0.2.5', family: 4 },
      { address: '2001:db8::5', family: 6 },
    ]);
    expect(await found(resolve, 'localhost.')).to.deep.equal([{ address: '127.0.0.1', family: 4 }]);
    expect(server.asked).to.deep.equal([]);
  });

  it('rejects with the reason when a name does not exist', async () => {
    expect(await codeOf(found(await resolverOf(''), 'nothing.example'))).to.equal('ENOTFOUND');
  });

  it('ends as soon as it is aborted, and leaves threads to others', async () => {
    server.ignore('slow.example');
    const resolve = await resolverOf('');
    const stop = new AbortController();
    const attempts = Array.from({ length: 50 }, () => codeOf(resolve('slow.example', stop.signal)));
    server.answer('idp.example', { v4: ['192.0.2.6'] });
    expect(await found(resolve, 'idp.example')).to.deep.equal([{ address: '192.0.2.6', family: 4 }]);
    stop.abort();

    expect(new Set(await Promise.all(attempts))).to.deep.equal(new Set([20]));
  });
});

describe('system resolver', () => {
  it('resolves a name of this machine', async () => {
    const addresses = await resolveBySystem('localhost', AbortSignal.timeout(60_000));
    expect(addresses.every(({ address }) => ['127.0.0.1', '::1'].includes(address))).to.equal(true);
    expect(addresses).not.to.deep.equal([]);
  });

  it('ends when it is aborted', async () => {
    const stop = new AbortController();
    const attempt = codeOf(resolveBySystem('localhost', stop.signal));
    stop.abort();
    expect(await attempt).to.equal(20);
  });
});
