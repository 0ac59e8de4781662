import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Collected, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const DENY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: foo }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: ["/no"] } }] }] }
`;
const DEADLINE_MS = 60_000;

function workload(port: number): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin, namespace: foo, annotations: { sallyport.dev/upstream: "127.0.0.1:${port}" } }
spec: { template: { metadata: { labels: { app: httpbin } } } }
`;
}

/** Waits until `ready` returns a value. */
async function until<T>(what: string, ready: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const found = await ready();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await sleep(10);
  }
}

async function statusOf(port: number, path: string): Promise<number> {
  const outgoing = request({ host: '127.0.0.1', port, path, agent: false });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [{ readonly statusCode: number; resume: () => void }];
  response.resume();
  return response.statusCode;
}

describe('sallyport run', function () {
  this.timeout(120_000);

  const upstream = createServer((_, response) => response.end('hello'));
  before(async () => {
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
  });
  after(() => upstream.close());
  const upstreamPort = (): number => (upstream.address() as AddressInfo).port;

  it('shows its listeners, applies an edit, reports an invalid one with its line, and exits with 0', async () => {
    await withDirectory({ 'workload.yaml': workload(upstreamPort()) }, async (cwd) => {
      const stop = new AbortController();
      const stderr = new Collected();
      const ended = runCommand(['run', '.', '--no-access-log', '--log-level', 'silent'], { cwd, stderr, stopSignal: () => stop.signal });

      const port = await until(
        'the first table',
        () => /foo\/deployment\/httpbin +http:\/\/127\.0\.0\.1:(\d+) .*enforcing/.exec(stderr.text)?.[1],
      );
      const first = await statusOf(Number(port), '/no');
      await writeFile(join(cwd, 'deny.yaml'), DENY);
      await until('the denial', async () => ((await statusOf(Number(port), '/no')) === 403 ? true : undefined));
      await until('the next table', () => /active policies: 1; /.exec(stderr.text) ?? undefined);
      await writeFile(join(cwd, 'deny.yaml'), DENY.replace('DENY', 'DENIE'));
      const found = await until(
        'the finding',
        () => /deny\.yaml:4:9 +error +SP_SCHEMA +AuthorizationPolicy foo\/deny +spec\.action/.exec(stderr.text) ?? undefined,
      );
      const last = await statusOf(Number(port), '/no');
      stop.abort();
      const { exitCode, stdout } = await ended;

      expect([first, last, exitCode, stdout]).to.deep.equal([200, 403, 0, '']);
      expect(found[0]).to.be.a('string');
    });
  });

  for (const [what, change] of [
    ['kind', (text: string): string => text.replace('AuthorizationPolicy', 'AuthorisationPolicy')],
    ['group', (text: string): string => text.replace('security.istio.io', 'security.istio.oi')],
    ['field', (text: string): string => text.replace('paths:', 'path:')],
  ] as const) {
    it(`keeps the last good policy when its ${what} is misspelt, and shows what check reports`, async () => {
      await withDirectory({ 'workload.yaml': workload(upstreamPort()), 'deny.yaml': DENY }, async (cwd) => {
        const stop = new AbortController();
        const stderr = new Collected();
        const ended = runCommand(['run', '.', '--no-access-log', '--log-level', 'silent'], { cwd, stderr, stopSignal: () => stop.signal });
        const port = await until(
          'the first table',
          () => /foo\/deployment\/httpbin +http:\/\/127\.0\.0\.1:(\d+) .*enforcing/.exec(stderr.text)?.[1],
        );
        await writeFile(join(cwd, 'deny.yaml'), change(DENY));
        await until('the finding', () => (/error +\S+ .*did you mean/.test(stderr.text) ? true : undefined));
        const statuses = [await statusOf(Number(port), '/no'), await statusOf(Number(port), '/yes')];
        stop.abort();
        await ended;

        expect(statuses).to.deep.equal([403, 200]);
      });
    });

    it(`does not start with a policy whose ${what} is misspelt`, async () => {
      await withDirectory({ 'workload.yaml': workload(upstreamPort()), 'deny.yaml': change(DENY) }, async (cwd) => {
        const { exitCode, stderr } = await runCommand(['run', '.', '--log-level', 'silent'], { cwd });

        expect(exitCode).to.equal(79);
        expect(stderr).to.include('did you mean');
      });
    });
  }

  it('exits with 65 for a directory that does not exist', async () => {
    const { exitCode, stderr } = await runCommand(['run', '/nonexistent/sallyport']);

    expect(exitCode).to.equal(65);
    expect(stderr).to.match(/^sallyport: \/nonexistent\/sallyport: no such file or directory[^\n]*\n$/);
  });

  it('exits with 79 for a directory that is invalid at start, with one line per fault', async () => {
    await withDirectory({ 'deny.yaml': 'a: [1\n' }, async (cwd) => {
      const { exitCode, stderr } = await runCommand(['run', '.', '--log-level', 'silent'], { cwd });

      expect(exitCode).to.equal(79);
      expect(stderr).to.match(/^(sallyport: \.: deny\.yaml:\d+: [^\n]*\n)+$/);
    });
  });

  it('writes bundles to the directory of --state', async () => {
    await withDirectory({ 'm/workload.yaml': workload(upstreamPort()) }, async (cwd) => {
      const stop = new AbortController();
      const stderr = new Collected();
      const ended = runCommand(['run', 'm', '--state', 'state', '--no-access-log', '--log-level', 'silent'], {
        cwd,
        stderr,
        stopSignal: () => stop.signal,
      });
      await until('the first table', () => (stderr.text.includes('enforcing') ? true : undefined));
      stop.abort();

      expect((await ended).exitCode).to.equal(0);
      // Throws if the directory does not exist.
      await rm(join(cwd, 'state', 'bundles'), { recursive: true });
    });
  });
});
