import { once } from 'node:events';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { Profile } from 'pprof-format';
import { type ProfileServer, startProfileServer } from '../../../src/profiling/profile-server.ts';
import { createLogger, type Logger } from '../../../src/telemetry/logger.ts';
import { until } from '../../support/fake-clock.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** A silent logger. @param onBegin called when a profile begins */
function observed(onBegin: () => void): Logger {
  const info = (_: object, message: string): void => {
    if (message === 'profile begins') onBegin();
  };
  return Object.assign(Object.create(createLogger({ level: 'silent', component: 'test' })), { info }) as Logger;
}

describe('profile server', function () {
  this.timeout(30_000);
  let server: ProfileServer;
  let results: string[];
  let begun: number;

  const start = (port = 0): Promise<ProfileServer> =>
    startProfileServer({ port, logger: observed(() => (begun += 1)), wallMs: Date.now, onProfile: (result) => results.push(result) });
  const ask = (path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: server.port, path, ...options }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }));
      });
      sent.on('error', reject).end();
    });
  const textOf = async (path: string, options?: Parameters<typeof ask>[1]): Promise<string> => {
    const { status, body } = await ask(path, options);
    return `${status} ${String(body).trim()}`;
  };
  /** Begins a profile of a minute. @returns leaves it */
  const begin = async (): Promise<() => void> => {
    const sent = request({ host: '127.0.0.1', port: server.port, path: '/debug/pprof/heap?seconds=60' });
    sent.on('error', () => undefined).end();
    const before = begun;
    await until(() => begun > before, 'the profile to begin');
    return () => sent.destroy();
  };

  beforeEach(async () => {
    results = [];
    begun = 0;
    server = await start();
  });
  afterEach(() => server.close());

  it('takes CPU profiles for DevTools, which name functions of the process', async () => {
    const timer = setInterval(function busyFunctionOfThisTest() {
      for (const end = performance.now() + 5; performance.now() < end; ) JSON.parse('[1]');
    }, 6);
    const { status, headers, body } = await ask('/debug/pprof/profile.cpuprofile?seconds=1');
    clearInterval(timer);
    expect(status).to.equal(200);
    expect(headers['content-disposition']).to.equal('attachment; filename="profile.cpuprofile"');
    const { nodes, samples, timeDeltas } = JSON.parse(String(body)) as {
      readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[];
      readonly samples: readonly number[];
      readonly timeDeltas: readonly number[];
    };
    expect(nodes.map(({ callFrame }) => callFrame.functionName)).to.include('busyFunctionOfThisTest');
    expect(samples.length).to.equal(timeDeltas.length);
    expect(results).to.deep.equal(['taken']);
  });

  it('takes heap profiles in the format of pprof, of all allocations and of what is in use', async () => {
    const kept: object[] = [];
    const timer = setInterval(function allocatingFunctionOfThisTest() {
      for (let at = 0; at < 20_000; at += 1) kept.push({ at, text: `${at}` });
    }, 10);
    const allocs = await ask('/debug/pprof/allocs?seconds=1');
    const heap = await ask('/debug/pprof/heap?seconds=1');
    clearInterval(timer);
    for (const { status, body } of [allocs, heap]) {
      expect(status).to.equal(200);
      expect(Profile.decode(gunzipSync(body)).stringTable.strings).to.include('allocatingFunctionOfThisTest');
    }
    expect(kept.length).to.be.above(0);
  });

  it('takes one profile at a time, and the next one when the client has left', async () => {
    const leave = await begin();
    const { status, headers, body } = await ask('/debug/pprof/profile');
    expect(status).to.equal(409);
    expect(Number(headers['retry-after'])).to.be.within(1, 60);
    expect(String(body)).to.match(/^another profile \(heap\) is being taken; try again in \d+ s\n$/);
    expect(results).to.include('busy').and.not.include('canceled');
    leave();
    await until(() => results.includes('canceled'), 'the end of the profile');
    expect((await ask('/debug/pprof/heap?seconds=1')).status).to.equal(200);
  });

  it('ends a profile when it is closed', async () => {
    await begin();
    await server.close();
    await until(() => results.includes('canceled'), 'the end of the profile');
    server = await start();
    expect((await ask('/debug/pprof/heap.heapprofile?seconds=1')).status).to.equal(200);
  });

  it('refuses web pages, by their names and by what browsers say of them', async () => {
    for (const host of ['attacker.example', '127.0.0.1.attacker.example', 'localhost.attacker.example:80', '10.0.0.7', '127.0.0.1:80:80'])
      expect(await textOf('/debug/pprof/', { headers: { host } })).to.equal(
        `403 Host ${JSON.stringify(host)} is not 127.0.0.1 or localhost; use kubectl port-forward`,
      );
    for (const host of ['127.0.0.1', 'localhost:6060', 'LOCALHOST', '[::1]:6060'])
      expect((await ask('/debug/pprof/', { headers: { host } })).status).to.equal(200);
    for (const headers of [{ origin: 'http://attacker.example' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }])
      expect(await textOf('/debug/pprof/profile', { headers })).to.equal('403 a web page may not ask for profiles');
    expect((await ask('/debug/pprof/', { headers: { 'sec-fetch-site': 'none' } })).status).to.equal(200);
  });

  it('refuses other methods and paths, and what is no number of seconds', async () => {
    expect(await textOf('/debug/pprof/profile', { method: 'POST' })).to.equal('405 only GET');
    expect(await textOf('/metrics')).to.equal('404 no such profile; /debug/pprof/ lists them');
    expect(await textOf('/debug/pprof/profile?seconds=-1')).to.equal('400 seconds: "-1" is not an integer from 1 to 60');
    expect(results).to.deep.equal([]);
  });

  it('listens on 127.0.0.1 only', async () => {
    const others = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address));
    for (const host of new Set(['127.0.0.2', ...others].filter((address) => address !== '127.0.0.1' && !address.startsWith('fe80')))) {
      const sent = request({ host, port: server.port, path: '/debug/pprof/' });
      const [error] = (await once(sent.end(), 'error')) as [NodeJS.ErrnoException];
      expect(error.code, host).to.equal('ECONNREFUSED');
    }
  });

  it('cannot start on a port that is in use', async () => {
    const error = await start(server.port).catch((cause: unknown) => cause);
    expect(error).to.have.property('code', 'EADDRINUSE');
  });
});
