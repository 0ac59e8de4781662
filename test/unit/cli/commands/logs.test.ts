import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { AGENT_CONTAINER } from '../../../../src/api/kube/agent-contract.ts';
import { runCommand } from '../../../support/cli-context.ts';
import { answerStatus, type FakeApiServer, startFakeApiServer } from '../../../support/fake-api-server.ts';
import { injected } from '../../../support/guarded-pods.ts';

const line = (fields: object): string =>
  JSON.stringify({ component: 'access', 'http.request.method': 'GET', 'server.address': 'web', 'client.address': '10.0.0.7', ...fields });
const FIRST = [
  '{"component":"agent","message":"started"}',
  line({
    time: '2026-01-31T12:00:02.000Z',
    decision: 'deny',
    'http.response.status_code': 403,
    'url.path': '/b',
    policy: 'shop/no-admin',
    rule: 0,
  }),
  line({ time: '2026-01-31T12:00:03.000Z', decision: 'allow', 'http.response.status_code': 200, 'url.path': '/c' }),
];
const SECOND = [
  line({ time: '2026-01-31T12:00:01.000Z', decision: 'unauthenticated', 'http.response.status_code': 401, 'url.path': '/a\u001b[31m' }),
  'not JSON, with "component":"access"',
  'x'.repeat(100_000),
  line({
    time: '2026-01-31T12:00:04.000Z',
    decision: 'deny',
    'url.path': '/d',
    'nearest.policy': 'shop/readers',
    'nearest.rule': 0,
    'nearest.clause': 'to[0] methods',
  }),
];

describe('sallyport logs', () => {
  let server: FakeApiServer;
  let logs: Record<string, readonly string[] | ((response: ServerResponse) => void)>;

  beforeEach(async () => {
    server = await startFakeApiServer();
    logs = { 'web-1': FIRST, 'web-2': SECOND };
    for (const name of ['web-1', 'web-2']) server.put(podOfWeb(name));
    server.fault = ({ path }, response) => {
      if (path.endsWith('/pods/web')) return answerStatus(response, 404, 'NotFound');
      const [, pod = ''] = /\/pods\/([^/]+)\/log$/.exec(path) ?? [];
      const log = logs[pod];
      if (log === undefined) return false;
      if (typeof log === 'function') log(response);
      else response.end(log.map((one) => `${one}\n`).join(''));
      return true;
    };
  });
  afterEach(() => server.stop());

  const run = (...args: readonly string[]): ReturnType<typeof runCommand> =>
    runCommand(['logs', 'deployment/web', '-n', 'shop', '--kubeconfig', server.kubeconfig, ...args]);

  it('shows refused requests of all pods in the order of time, without control characters', async () => {
    const { exitCode, stdout, stderr } = await run('--denied');

    expect([exitCode, stderr]).to.deep.equal([0, '']);
    const rows = stdout.trimEnd().split('\n').slice(1);
    expect(rows).to.have.length(3);
    expect(rows[0]).to.include('web-2').and.to.include('unauthenticated').and.to.include('GET web/a\\u001b[31m');
    expect(rows[1])
      .to.include('web-1')
      .and.to.match(/deny +403 +GET web\/b +10\.0\.0\.7 +shop\/no-admin rule 0$/);
    expect(rows[2]).to.include('no ALLOW rule; nearest shop/readers rule 0: to[0] methods');
  });

  it('shows the newest lines only, and prints them unchanged as JSON', async () => {
    const { stdout } = await run('--tail', '2', '-o', 'json');

    expect(stdout).to.equal(`${FIRST[2]}\n${SECOND[3]}\n`);
  });

  it('asks for the log of the agent, since the given time', async () => {
    await run('--since', '5m');

    const asked = server.requests.filter(({ path }) => path.endsWith('/log')).map(({ query }) => Object.fromEntries(query));
    expect(asked).to.deep.equal([1, 2].map(() => ({ container: AGENT_CONTAINER, follow: 'false', sinceSeconds: '300' })));
  });

  it('follows until the command is stopped', async () => {
    const stop = new AbortController();
    logs = {
      'web-1': (response) => {
        response.write(`${FIRST[1]}\n`);
      },
      'web-2': [],
    };
    let shown = '';
    const done = runCommand(['logs', 'deployment/web', '-n', 'shop', '--kubeconfig', server.kubeconfig, '--follow'], {
      stopSignal: () => stop.signal,
      onStdout: (text) => {
        shown += text;
        stop.abort();
      },
    });

    expect((await done).exitCode).to.equal(0);
    expect(shown).to.include('shop/no-admin rule 0');
  });

  for (const args of [[], ['--follow']]) {
    it(`exits with 1 and one line when the connection breaks${args.length === 0 ? '' : ' while it follows'}`, async () => {
      logs = {
        'web-1': (response) => {
          response.write(`${FIRST[1]}\n`, () => setImmediate(() => response.destroy()));
        },
      };
      const { exitCode, stderr } = await run(...args);

      expect(exitCode).to.equal(1);
      expect(stderr).to.match(/^sallyport: cannot reach the API server at .+: [A-Z_]+\n$/);
    });
  }

  it('follows at most 50 logs', async () => {
    for (let at = 3; at <= 51; at++) server.put(podOfWeb(`web-${at}`));
    const { exitCode, stdout, stderr } = await run('--follow');

    expect([exitCode, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.include('shop/deployment/web has 51 pods with an agent, and --follow reads at most 50 logs: name a pod');
    expect(server.requests.filter(({ path }) => path.endsWith('/log'))).to.deep.equal([]);
  });

  it('exits with 1 and one line when the log may not be read', async () => {
    logs = { 'web-1': (response) => answerStatus(response, 403, 'Forbidden') };
    const { exitCode, stdout, stderr } = await run();

    expect([exitCode, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.match(/^sallyport: forbidden: .+\n$/);
  });

  for (const since of ['5', 'm', '-1s', '1d']) {
    it(`refuses --since ${since}`, async () => {
      expect((await run('--since', since)).exitCode).to.equal(64);
    });
  }
});

function podOfWeb(name: string): { readonly metadata: { readonly name: string } } {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-6b8c9f', uid: '1', controller: true };
  return injected({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'shop', name, labels: { 'pod-template-hash': '6b8c9f' }, ownerReferences: [owner] },
    spec: { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'app:1', ports: [{ containerPort: 8080 }] }] },
  }) as { readonly metadata: { readonly name: string } };
}
