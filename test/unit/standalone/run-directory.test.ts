/*
 * `runDirectory` with a real directory, upstream and requests.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { type RunningDirectory, runDirectory } from '../../../src/standalone/run-directory.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

const logger = createLogger({ level: 'silent', component: 'test' });

const workload = (port: number, labels = 'app: web', kind = 'Deployment'): string => `
apiVersion: apps/v1
kind: ${kind}
metadata: {name: web, namespace: foo, annotations: {sallyport.dev/upstream: "127.0.0.1:${port}"}}
spec: {template: {metadata: {labels: {${labels}}}}}
`;
const denyAll = (selector: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: foo}
spec: {selector: {matchLabels: {${selector}}}, action: DENY, rules: [{}]}
`;

describe('runDirectory', () => {
  let directory = '';
  let upstream: Server;
  let stop = new AbortController();
  let running: RunningDirectory | undefined;
  const port = (): number => (upstream.address() as AddressInfo).port;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-run-'));
    upstream = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    stop = new AbortController();
    running = undefined;
  });

  afterEach(async () => {
    stop.abort();
    await running?.stopped;
    upstream.closeAllConnections();
    await new Promise((resolve) => upstream.close(resolve));
    await rm(directory, { recursive: true, force: true });
  });

  const put = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);
  const run = async (): Promise<RunningDirectory> => {
    running = await runDirectory({ directory, mesh: DEFAULT_MESH_CONFIG, logger, accessLog: false }, stop.signal);
    return running;
  };
  const ask = (at = 0): Promise<number> =>
    new Promise((resolve, reject) => {
      const listen = running?.agents()[at]?.listen;
      get({ host: listen?.host, port: listen?.port, path: '/', agent: false }, (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode ?? 0));
      }).once('error', reject);
    });
  const untilStatus = async (status: number): Promise<void> => {
    let got = 0;
    for (let tries = 0; tries < 6000 && got !== status; tries += 1) {
      got = await ask();
      if (got !== status) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(got).to.equal(status);
  };

  it('enforces the policies of the directory from the first request on', async () => {
    await put('web.yaml', workload(port()));
    await put('policy.yaml', denyAll('app: web'));

    await run();

    expect(await ask()).to.equal(403);
    expect(running?.policies()).to.equal(1);
  });

  it('follows edits of policies and of labels', async () => {
    await put('web.yaml', workload(port()));
    await run();
    await untilStatus(200);

    await put('policy.yaml', denyAll('app: web'));
    await untilStatus(403);
    await put('web.yaml', workload(port(), 'app: other'));
    await untilStatus(200);
    await put('policy.yaml', denyAll('app: other'));
    await untilStatus(403);
    await rm(join(directory, 'policy.yaml'));
    await untilStatus(200);
  }).timeout(120_000);

  it('distinguishes workloads of different kinds with the same name', async () => {
    await put('web.yaml', [workload(port()), workload(port(), 'app: other', 'StatefulSet')].join('---'));
    await put('policy.yaml', denyAll('app: web'));
    await run();

    expect(running?.agents().map(({ workload: { kind } }) => kind)).to.deep.equal(['deployment', 'statefulset']);
    expect([await ask(0), await ask(1)]).to.deep.equal([403, 200]);
  });

  it('does not start when a name would be a path outside of its state', async () => {
    await put('web.yaml', workload(port()).replace('namespace: foo', 'namespace: ../../escaped'));
    const error = await run().catch((reason: Error) => reason.message);
    expect(error).to.equal('web.yaml:2: metadata.namespace "../../escaped" is not a name');
  });

  it('runs no agent whose labels cannot be written, and says why', async () => {
    await put('web.yaml', workload(port()));
    const stateDirectory = join(directory, '.state');
    await mkdir(stateDirectory);
    await writeFile(join(stateDirectory, 'labels'), '');
    running = await runDirectory({ directory, stateDirectory, mesh: DEFAULT_MESH_CONFIG, logger, accessLog: false }, stop.signal);

    const [agent] = running.agents();
    expect(agent?.listen).to.equal(undefined);
    expect(agent?.problem).to.match(/^E(NOTDIR|EXIST)/);
  });

  it('keeps the last valid version active when a policy becomes invalid, and reports it', async () => {
    await put('web.yaml', workload(port()));
    await put('policy.yaml', denyAll('app: web'));
    await run();

    await put('policy.yaml', denyAll('app: web').replace('DENY', 'DENYY'));

    for (let tries = 0; tries < 6000 && running?.findings().length === 0; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(running?.findings()[0]).to.deep.include({ severity: 'error', policy: 'AuthorizationPolicy/foo/deny', path: 'spec.action' });
    expect(await ask()).to.equal(403);
  });

  it('keeps it across a restart when the state directory stays', async () => {
    const stateDirectory = join(directory, '.state');
    const options = { directory, stateDirectory, mesh: DEFAULT_MESH_CONFIG, logger, accessLog: false };
    await put('web.yaml', workload(port()));
    await put('policy.yaml', denyAll('app: web'));
    running = await runDirectory(options, stop.signal);
    await put('policy.yaml', denyAll('app: web').replace('DENY', 'DENYY'));
    const record = join(stateDirectory, 'last-valid', 'foo.json');
    for (let tries = 0; tries < 400 && !existsSync(record); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await running.stopped;

    stop = new AbortController();
    running = await runDirectory(options, stop.signal);
    expect(running.findings().map(({ path }) => path)).to.deep.equal(['spec.action']);
    expect(await ask()).to.equal(403);
    await put('policy.yaml', denyAll('app: other'));
    await untilStatus(200);
    for (let tries = 0; tries < 400 && existsSync(record); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(existsSync(record)).to.equal(false);
  });

  it('does not start when a policy is invalid and has no last valid version', async () => {
    await put('web.yaml', workload(port()));
    await put('policy.yaml', denyAll('app: web').replace('DENY', 'DENYY'));

    const error = await run().catch((fault: Error) => fault);

    expect(error).to.have.property('code', 'SP_MANIFEST');
    expect(error).to.have.property('message').that.includes('policy.yaml:2: AuthorizationPolicy/foo/deny: spec.action');
  });

  it('does not start when a file is not YAML', async () => {
    await put('web.yaml', workload(port()));
    await put('policy.yaml', 'kind: [');

    const error = await run().catch((fault: Error) => fault);

    expect(error).to.have.property('code', 'SP_MANIFEST');
  });

  it('does not start when the directory does not exist', async () => {
    await rm(directory, { recursive: true });

    const error = await run().catch((fault: NodeJS.ErrnoException) => fault);

    expect(error).to.have.property('code', 'ENOENT');
  });
});
