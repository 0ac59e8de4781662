import { createServer } from 'node:net';
import { expect } from 'chai';
import { runCommand } from '../../../support/cli-context.ts';
import { answerStatus, type FakeApiServer, kubeconfigFor, startFakeApiServer } from '../../../support/fake-api-server.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

/** Address on which nothing listens. */
async function unused(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return `https://127.0.0.1:${port}`;
}

const COMMANDS: readonly (readonly string[])[] = [
  ['check'],
  ['bundle', 'web'],
  ['explain', 'web', '--url', '/'],
  ['logs', 'web'],
  ['diff', '--live', '.'],
];

/** Runs each command with a kubeconfig; all of them say the same. */
async function sameForAll(
  kubeconfig: string | undefined,
  ...more: readonly string[]
): Promise<{ readonly exitCode: number; readonly stderr: string }> {
  const files = kubeconfig === undefined ? {} : { config: kubeconfig };
  return withDirectory({ ...files, 'p.yaml': '' }, async (cwd) => {
    const results = [];
    for (const command of COMMANDS) {
      const { exitCode, stdout, stderr } = await runCommand([...command, '--kubeconfig', `${cwd}/config`, ...more], { cwd });
      expect(stdout, command.join(' ')).to.equal('');
      results.push({ exitCode, stderr: stderr.replaceAll(cwd, '.') });
    }
    const [first] = results;
    for (const result of results) expect(result).to.deep.equal(first);
    return first ?? { exitCode: -1, stderr: '' };
  });
}

describe('commands that read a cluster', () => {
  let server: FakeApiServer;
  before(async () => {
    server = await startFakeApiServer();
  });
  after(() => server.stop());

  const exec = (command: string): string =>
    kubeconfigFor('https://127.0.0.1:9').replace(
      '"token":"a-token"',
      `"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"${command}","interactiveMode":"Never"}`,
    );
  const broken: readonly (readonly [
    name: string,
    kubeconfig: string | undefined,
    more: readonly string[],
    exitCode: number,
    line: string,
  ])[] = [
    ['no file', undefined, [], 65, 'the kubeconfig "./config" cannot be read: no such file or directory'],
    ['no YAML', '{[', [], 65, 'the kubeconfig "./config" cannot be read: it is not a kubeconfig in YAML or JSON'],
    ['an empty file', '', [], 65, 'the kubeconfig "./config" cannot be read: it is not a kubeconfig in YAML or JSON'],
    [
      'no such context',
      kubeconfigFor('https://127.0.0.1:9'),
      ['--context', 'b\u001b[2J'],
      65,
      'the kubeconfig has no context "b\\u001b[2J"',
    ],
    [
      'no current context',
      kubeconfigFor('https://127.0.0.1:9').replace('"current-context":"fake"', '"current-context":""'),
      [],
      65,
      'the kubeconfig has no current context with a cluster; kubectl config use-context sets one',
    ],
    [
      'a certificate that is missing',
      kubeconfigFor('https://127.0.0.1:9').replace('"token":"a-token"', '"client-certificate":"/nonexistent.pem"'),
      [],
      65,
      'a file that the kubeconfig names cannot be read: ENOENT',
    ],
    [
      'a credential plugin that is missing',
      exec('no-such-plugin'),
      [],
      65,
      'the credential plugin "no-such-plugin" of the kubeconfig cannot be run: ENOENT',
    ],
    ['--as-group alone', kubeconfigFor('https://127.0.0.1:9'), ['--as-group', 'x'], 64, '--as-group needs --as'],
    ['an invalid namespace', kubeconfigFor('https://127.0.0.1:9'), ['-n', 'a/b'], 64, 'invalid namespace "a/b"'],
  ];
  for (const [name, kubeconfig, more, exitCode, line] of broken) {
    it(`exit with ${exitCode} and one line for ${name}`, async () => {
      const result = await sameForAll(kubeconfig, ...more);

      expect(result.exitCode, result.stderr).to.equal(exitCode);
      expect(result.stderr.startsWith(`sallyport: ${line}`), result.stderr).to.equal(true);
      expect(result.stderr.trimEnd()).to.not.include('\n');
    });
  }

  it('exit with 1 and the address when nothing listens there', async () => {
    const url = await unused();

    expect(await sameForAll(kubeconfigFor(url))).to.deep.equal({
      exitCode: 1,
      stderr: `sallyport: cannot reach the API server at ${url}: ECONNREFUSED\n`,
    });
  });

  it('exit with 1 when the server rejects the credentials or fails', async () => {
    server.fault = (_request, response) => answerStatus(response, 401, 'Unauthorized');
    expect(await sameForAll(kubeconfigFor(server.url))).to.deep.equal({
      exitCode: 1,
      stderr: `sallyport: the API server at ${server.url} rejects the credentials of the kubeconfig (401 Unauthorized)\n`,
    });

    server.fault = (_request, response) => answerStatus(response, 503, 'ServiceUnavailable');
    expect(await sameForAll(kubeconfigFor(server.url))).to.deep.equal({
      exitCode: 1,
      stderr: `sallyport: the API server at ${server.url} failed: 503 ServiceUnavailable\n`,
    });
  });

  it('exit with 65 without any kubeconfig', async () => {
    expect(await runCommand(['check'])).to.deep.equal({
      exitCode: 65,
      stdout: '',
      stderr: 'sallyport: no kubeconfig found: set KUBECONFIG or pass --kubeconfig\n',
    });
  });

  it('exit with 64 for contradicting options', async () => {
    for (const args of [
      ['check', '-n', 'a', '-A'],
      ['check', 'p', '-n', 'a'],
      ['diff', 'a', 'b', '-A'],
      ['diff', 'a'],
      ['explain', 'a', 'b', '-n', 'x'],
    ])
      expect((await runCommand(args)).exitCode, args.join(' ')).to.equal(64);
  });
});
