/*
 * TLS with the clients that people use (curl, openssl s_client, node:https): passed through to an HTTPS server by its server name, and terminated by
 * the agent with their certificates.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { PortProtocol } from '../../src/agent/listener/destination.ts';
import type { TlsMode } from '../../src/agent/tls/tls-termination.ts';
import { issue, newAuthority } from '../support/certificates.ts';
import { type Stage, stage } from '../unit/agent/loopback.ts';
import { CLIENT_URI, type Mesh, newMesh, type TestTermination, terminationOf } from '../unit/agent/tls/tls-stage.ts';
import { allow, filterChainOf } from '../unit/filters/chains.ts';

interface Output {
  readonly text: string;
  readonly code: number | null;
}

/** Runs a program until it ends, or `enough` of its output has come. */
async function run(command: readonly string[], input = '', enough: (text: string) => boolean = () => false): Promise<Output> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { timeout: 60_000 });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (enough(text)) child.kill();
    });
  child.stdin.on('error', () => {});
  child.stdin.write(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { text, code };
}

const GET = 'GET /a HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n';

describe('TLS of real clients', function () {
  this.timeout(60_000);
  let directory = '';
  let mesh: Mesh;
  let application: Server;
  let at: Stage;
  let tls: TestTermination;
  const file = (name: string): string => join(directory, name);
  const put = (name: string, text: string): void => writeFileSync(file(name), text);
  const serverNames = filterChainOf([allow('name', { when: [{ key: 'connection.sni', values: ['app.example'] }] })]);
  const principals = filterChainOf([allow('sleep', { from: [{ source: { principals: [CLIENT_URI.slice('spiffe://'.length)] } }] })]);

  before(async function () {
    for (const [program, flag] of [
      ['openssl', 'version'],
      ['curl', '--version'],
    ] as const) {
      if (spawnSync(program, [flag]).status === 0) continue;
      if (process.env['CI'] === 'true') throw new Error(`${program} is not available here`);
      process.stderr.write(`NOT CHECKED: TLS of real clients: ${program} is not available here\n`);
      this.skip();
    }
    directory = mkdtempSync(join(tmpdir(), 'sallyport-tls-clients-'));
    mesh = await newMesh();
    const own = await issue(mesh.authority, { dnsNames: ['app.example', 'other.example'], subject: 'CN=app' });
    put('ca.crt', mesh.authority.certPem);
    put('client.crt', mesh.client.certPem);
    put('client.key', mesh.client.keyPem);
    put('server.crt', own.certPem);
    put('server.key', own.keyPem);
    put('other.crt', (await newAuthority('other')).certPem);
    application = createServer({ cert: own.certPem, key: own.keyPem }, (message, response) => response.end(`own ${message.url}`));
    application.listen(0, '127.0.0.1');
    await once(application, 'listening');
  });
  after(async () => {
    application?.close();
    if (directory !== '') await rm(directory, { recursive: true });
  });
  afterEach(async () => {
    await at.stop();
  });

  async function pass(protocol: PortProtocol, isTerminating: boolean): Promise<void> {
    at = await stage({
      filterChain: serverNames,
      application: (application.address() as AddressInfo).port,
      destination: (upstreamPort) => ({
        upstreamHost: '127.0.0.1',
        upstreamPort,
        destinationIp: '10.1.2.3',
        destinationPort: 8443,
        protocol: () => protocol,
      }),
      ...(isTerminating && { tls: await terminationOf(mesh) }),
    });
  }

  async function terminate(mode: TlsMode = 'strict'): Promise<void> {
    tls = await terminationOf(mesh, mode);
    at = await stage({ filterChain: principals, tls, appProtocol: 'http1' });
  }

  const curl = (...options: readonly string[]): Promise<Output> =>
    run(['curl', '--silent', '--show-error', '--max-time', '10', '--cacert', file('ca.crt'), ...options]);
  const curlAs = (...options: readonly string[]): Promise<Output> =>
    curl('--cert', file('client.crt'), '--key', file('client.key'), '--insecure', ...options);
  const sClient = (input: string, ...options: readonly string[]): Promise<Output> => {
    const base = ['openssl', 's_client', '-connect', `127.0.0.1:${at.port}`, '-CAfile', file('ca.crt'), '-quiet'];
    return run([...base, ...options], input, (text) => text.endsWith('ok'));
  };
  const sClientAs = (input: string, ...options: readonly string[]): Promise<Output> =>
    sClient(input, '-cert', file('client.crt'), '-key', file('client.key'), ...options);
  const untilResult = async (): Promise<string> => {
    while (tls.results.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    return tls.results.at(-1) ?? '';
  };

  for (const protocol of ['tcp', 'detect'] as const) {
    for (const isTerminating of [false, true]) {
      it(`passes through by its server name, on a port of protocol ${protocol}${isTerminating ? ' of an agent with a certificate' : ''}`, async () => {
        await pass(protocol, isTerminating);
        const to = (name: string): readonly string[] => ['--resolve', `${name}:${at.port}:127.0.0.1`, `https://${name}:${at.port}/a`];

        for (const version of ['--http1.1', '--http2', '--tls-max=1.2'] as const) {
          const option = version === '--tls-max=1.2' ? ['--tls-max', '1.2'] : [version];
          expect((await curl(...option, ...to('app.example'))).text).to.equal('own /a');
          expect((await curl(...option, ...to('other.example'))).code).to.be.oneOf([35, 56]);
        }
        const allowed = await run(
          ['openssl', 's_client', '-connect', `127.0.0.1:${at.port}`, '-quiet', '-servername', 'app.example'],
          GET,
          (text) => text.includes('own /a'),
        );
        expect(allowed.text).to.include('own /a');
        const denied = await run(['openssl', 's_client', '-connect', `127.0.0.1:${at.port}`, '-quiet', '-noservername'], GET);
        expect(denied.text).not.to.include('own /a');
        const options = { host: '127.0.0.1', port: at.port, ca: mesh.authority.certPem, servername: 'APP.example', agent: false };
        const [answer] = (await once(request(options).end(), 'response')) as [{ readonly statusCode: number; resume(): void }];
        answer.resume();
        expect(answer.statusCode).to.equal(200);
      });
    }
  }

  it('is terminated for curl over HTTP/1.1 and HTTP/2, TLS 1.2 and 1.3, and refused without a certificate', async () => {
    await terminate();
    const url = `https://127.0.0.1:${at.port}/a`;
    for (const version of ['1.2', '1.3'])
      for (const http of ['--http1.1', '--http2'])
        expect((await curlAs('--tls-max', version, http, '--write-out', ' %{http_version}', url)).text).to.equal(
          `ok ${http === '--http2' ? '2' : '1.1'}`,
        );
    expect(tls.results).to.deep.equal(['1.2', '1.2', '1.3', '1.3']);
    expect((await curl('--insecure', url)).code).to.be.greaterThan(0);
    expect((await curl(`http://127.0.0.1:${at.port}/a`)).code).to.be.greaterThan(0);
    expect(tls.results.slice(4)).to.deep.equal(['no_certificate', 'plaintext']);
  });

  it('carries large bodies in both directions, also to a client that reads slowly', async () => {
    const body = randomBytes(8 << 20);
    writeFileSync(file('body'), body);
    const echo = createHttpServer((message, response) => message.pipe(response));
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    tls = await terminationOf(mesh, 'strict');
    at = await stage({ filterChain: principals, tls, appProtocol: 'http1', application: (echo.address() as AddressInfo).port });
    const url = `https://127.0.0.1:${at.port}/a`;
    for (const options of [['--http1.1'], ['--http2'], ['--http1.1', '--limit-rate', '6M'], ['--http2', '--limit-rate', '6M']]) {
      const { code } = await curlAs(...options, '--max-time', '60', '--data-binary', `@${file('body')}`, '--output', file('echo'), url);

      expect(code).to.equal(0);
      expect(readFileSync(file('echo')).equals(body), options.join(' ')).to.equal(true);
    }
    echo.close();
    echo.closeAllConnections();
  });

  it('is terminated for s_client, also in small records', async () => {
    await terminate();

    expect((await sClientAs(GET)).text).to.match(/HTTP\/1\.1 200[^]*ok$/);
    expect((await sClientAs(GET, '-tls1_2', '-max_send_frag', '512', '-split_send_frag', '512')).text).to.match(/HTTP\/1\.1 200/);
    expect((await sClientAs(GET, '-groups', 'P-521:X25519')).text).to.match(/HTTP\/1\.1 200/);
    expect(at.seen.join('')).to.include(`URI=${CLIENT_URI}`);
  });

  it('is refused in versions that are too old, and to a client that refuses the agent', async () => {
    await terminate();
    expect((await sClientAs(GET, '-tls1_1', '-cipher', 'DEFAULT:@SECLEVEL=0')).code).to.be.greaterThan(0);
    expect(await untilResult()).to.equal('version');
    tls.results.length = 0;
    await sClientAs(GET, '-CAfile', file('other.crt'), '-verify_return_error');
    expect(await untilResult()).to.equal('alert');
    expect(at.seen).to.deep.equal([]);
  });

  it('is not negotiated again', async () => {
    await terminate();
    const base = ['openssl', 's_client', '-connect', `127.0.0.1:${at.port}`, '-CAfile', file('ca.crt'), '-tls1_2', '-no_ign_eof'];
    const { text } = await run([...base, '-cert', file('client.crt'), '-key', file('client.key')], 'R\n', (output) =>
      /no renegotiation/i.test(output),
    );

    expect(text).to.match(/RENEGOTIATING[^]*no renegotiation/i);
    expect(at.seen).to.deep.equal([]);
  });

  it('has no early data: what a client sends before the end of the handshake reaches no application', async () => {
    await terminate();
    // A session with early data of another server.
    const port = 20_000 + (process.pid % 10_000);
    const session = file('session');
    const pair = ['-cert', file('server.crt'), '-key', file('server.key')];
    const other = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, ...pair, '-early_data', '-naccept', '1']);
    await new Promise<void>((resolve) => other.stdout.on('data', (text: Buffer) => text.includes('ACCEPT') && resolve()));
    const first = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-sess_out', session]);
    while (!existsSync(session) || statSync(session).size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    first.kill();
    other.kill();
    const shown = spawnSync('openssl', ['sess_id', '-in', session, '-noout', '-text'], { encoding: 'utf8' }).stdout;
    expect(shown).to.match(/Max Early Data: [1-9]/);
    put('early', GET.replace('/a', '/early'));
    const { text } = await sClientAs(GET, '-sess_in', session, '-early_data', file('early'));

    expect(text).to.match(/HTTP\/1\.1 200/);
    expect(at.seen.join('')).to.include('GET /a ').and.not.to.include('/early');
    expect(tls.results).to.deep.equal(['1.3']);
  });
});
