/*
 * Profiles of agent and controller as they are built and run: `go tool pprof` reads them, they name functions of the process, and the
 * port is there for the loopback address and for as long as the process only.
 */
import { execFile } from 'node:child_process';
import { rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { freePorts } from '../cluster/wait.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { TracedStage } from '../support/traced-stage.ts';

const run = promisify(execFile);

describe('profiles of the built processes', function () {
  this.timeout(300_000);
  let at: TracedStage;
  let ports: readonly number[];
  let controller: ControllerProcess | undefined;

  const startWithProfiles = async (): Promise<void> => {
    await at.startAgent(ports, { SALLYPORT_PROFILING_PORT: String(ports[2]) });
    await until(() => at.lines.some(({ message }) => message === 'profiles are served on the loopback address'), 'the port for profiles');
  };
  /** @returns an error code when there is no connection */
  const ask = (path: string, host = '127.0.0.1'): Promise<{ readonly status: number; readonly body: Buffer } | string> =>
    new Promise((resolve, reject) => {
      const sent = request({ host, port: ports[2], path }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
        response.on('error', reject);
      });
      sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      sent.end();
    });
  const profile = async (path: string): Promise<Buffer> => {
    const answer = await ask(path);
    if (typeof answer === 'string' || answer.status !== 200) throw new Error(JSON.stringify(answer));
    return answer.body;
  };
  /** What `go tool pprof -top` prints. */
  const top = async (encoded: Buffer): Promise<string> => {
    const file = join(at.directory, 'profile.pb.gz');
    await writeFile(file, encoded);
    const env = { ...process.env, PPROF_TMPDIR: at.directory };
    return (await run('go', ['tool', 'pprof', '-top', '-nodecount=200', file], { env })).stdout;
  };
  /** Sends requests through the agent until the promise is settled. */
  const underLoad = async <T>(work: Promise<T>): Promise<T> => {
    let isDone = false;
    const settled = work.finally(() => (isDone = true));
    do {
      const path = `http://127.0.0.1:${ports[0]}/cart`;
      await Promise.all(Array.from({ length: 20 }, () => fetch(path).then((response) => response.text())));
    } while (!isDone);
    return settled;
  };

  before(async () => {
    at = await TracedStage.build();
  });
  after(() => at?.close());
  beforeEach(async () => {
    ports = await freePorts(3);
  });
  afterEach(async () => {
    await at.stopAgent();
    await controller?.stop();
    controller = undefined;
  });

  it('name functions of the agent, in the formats of pprof and of DevTools', async () => {
    await startWithProfiles();
    const cpu = await top(await underLoad(profile('/debug/pprof/profile?seconds=1')));
    expect(cpu)
      .to.match(/^Type: cpu$/m)
      .and.match(/ serveFrom\w*|onData|evaluate|readHead/);
    const allocs = await top(await underLoad(profile('/debug/pprof/allocs?seconds=1')));
    expect(allocs).to.match(/^Type: alloc_space$/m);
    const { nodes } = JSON.parse(String(await underLoad(profile('/debug/pprof/profile.cpuprofile?seconds=1')))) as {
      readonly nodes: readonly { readonly callFrame: { readonly functionName: string; readonly url: string } }[];
    };
    const ours = nodes.filter(({ callFrame }) => callFrame.url.endsWith('/dist/agent.mjs')).map(({ callFrame }) => callFrame.functionName);
    expect(ours).to.include('evaluate');
    const metrics = await (await fetch(`http://127.0.0.1:${ports[1]}/metrics`)).text();
    expect(metrics).to.include('sallyport_agent_profiles_total{result="taken"} 3');
  });

  it('are taken one at a time, reached from the loopback address only, and end with the agent', async () => {
    await startWithProfiles();
    const first = ask('/debug/pprof/heap?seconds=60');
    await until(() => at.lines.some(({ message }) => message === 'profile begins'), 'the profile to begin');
    expect(await ask('/debug/pprof/profile')).to.include({ status: 409 });
    const addresses = Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
    for (const address of ['127.0.0.2', ...addresses])
      if (address !== '127.0.0.1' && !address.startsWith('fe80'))
        expect(await ask('/debug/pprof/', address), address).to.equal('ECONNREFUSED');
    await at.stopAgent();
    expect(await first).to.equal('ECONNRESET');
    expect(await ask('/debug/pprof/')).to.equal('ECONNREFUSED');
  });

  it('name functions of the controller, also while it cannot reach its cluster', async () => {
    const kubeconfig = join(at.directory, 'kubeconfig');
    const [port] = await freePorts(1);
    await writeFile(
      kubeconfig,
      JSON.stringify({
        'current-context': 'here',
        contexts: [{ name: 'here', context: { cluster: 'here', user: 'here' } }],
        clusters: [{ name: 'here', cluster: { server: `http://127.0.0.1:${port}` } }],
        users: [{ name: 'here', user: {} }],
      }),
    );
    controller = await startController({
      kubeconfig,
      name: 'one',
      namespace: 'sallyport-system',
      entry: join(at.directory, 'dist/controller.mjs'),
      env: { SALLYPORT_PROFILING_PORT: String(ports[2]) },
    });
    const reading = profile('/debug/pprof/profile?seconds=1');
    let isDone = false;
    const settled = reading.finally(() => (isDone = true));
    while (!isDone) expect(await controller.get('/metrics')).to.include({ status: 200 });
    expect(await top(await settled)).to.include('getMetricsAsString');
    expect(await controller.metric('sallyport_profiles_total{result="taken"}')).to.equal(1);
  });

  it('are no reason not to serve: the agent starts when the port is in use', async () => {
    await at.startAgent(ports, { SALLYPORT_PROFILING_PORT: String(at.app.port) });
    await until(() => at.lines.some(({ message }) => message === 'profiles cannot be served'), 'the line in the log');
    expect((await fetch(`http://127.0.0.1:${ports[0]}/cart`)).status).to.equal(200);
  });

  it('are not loaded without a port: the agent starts and serves when their file is not there', async () => {
    const file = join(at.directory, 'dist/profiling.mjs');
    expect((await stat(file)).size).to.be.below(48 * 1024);
    await rm(file);
    await at.startAgent(ports, {});
    expect((await fetch(`http://127.0.0.1:${ports[0]}/cart`)).status).to.equal(200);
  });
});
