import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { canonicalJson } from '../../../../src/bundle/canonical-json.ts';
import { digestOf } from '../../../../src/bundle/digest.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const FILES: Readonly<Record<string, string>> = {
  'policies/allow.yaml': `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: allow, namespace: foo }
spec:
  selector: { matchLabels: { app: httpbin } }
  rules: [{ to: [{ operation: { paths: ["/headers"] } }] }]
`,
  'workloads.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: sleep, namespace: foo }
spec: { template: { metadata: { labels: { app: sleep } } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin, namespace: foo }
spec: { template: { metadata: { labels: { app: httpbin } } } }
`,
};

function compile(files: Readonly<Record<string, string>>, ...args: string[]): Promise<CliResult> {
  return withDirectory(files, (cwd) => runCommand(['compile', ...args], { cwd }));
}

describe('sallyport compile', () => {
  it('lists each workload with the policies that apply to it', async () => {
    const { exitCode, stdout, stderr } = await compile(FILES, '.');

    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect([exitCode, stderr]).to.deep.equal([0, '']);
    expect(rows[0]).to.deep.equal(['WORKLOAD', 'POLICIES', 'BYTES', 'DIGEST']);
    expect(rows.slice(1).map(([workload]) => workload)).to.deep.equal(['foo/deployment/httpbin', 'foo/deployment/sleep']);
    expect(rows[1]?.[1]).to.equal('AuthorizationPolicy foo/allow');
  });

  it('prints the bundle that an agent would accept', async () => {
    const { stdout } = await compile(FILES, '.', '--workload', 'foo/httpbin', '-o', 'json');

    const { workload, digest, bundle } = JSON.parse(stdout) as {
      readonly workload: string;
      readonly digest: string;
      readonly bundle: unknown;
    };
    const json = canonicalJson(bundle);
    expect(workload).to.equal('foo/deployment/httpbin');
    expect(digest).to.equal(digestOf(json));
    expect(json).to.include('/headers');
  });

  it('prints all bundles as a list without --workload', async () => {
    const { stdout } = await compile(FILES, '.', '-o', 'yaml');

    expect(stdout).to.match(/\nitems:\n {2}- workload: foo\/deployment\/httpbin\n/);
    expect(stdout).to.include('- workload: foo/deployment/sleep\n');
  });

  for (const [what, args] of [
    ['one workload', ['--workload', 'foo/httpbin']],
    ['all workloads, if there is one', []],
  ] as const) {
    it(`prints what explain and diff take as a bundle: ${what}`, async () => {
      const one = { ...FILES, 'workloads.yaml': FILES['workloads.yaml']?.split('---\n')[1] ?? '' };
      await withDirectory(one, async (cwd) => {
        const { stdout } = await runCommand(['compile', '.', ...args, '-o', 'json'], { cwd });
        await writeFile(join(cwd, 'b.json'), stdout);
        const explained = await runCommand(['explain', '--bundle', 'b.json', '--url', '/headers'], { cwd });
        const compared = await runCommand(['diff', 'b.json', 'b.json', '--generate', '100'], { cwd });

        expect(explained.stdout).to.match(/^allow /);
        expect(compared.stderr).to.match(/^100 requests .* 0 flips/);
      });
    });
  }

  it('says which workload to compile when several bundles are given as one', async () => {
    await withDirectory(FILES, async (cwd) => {
      const { stdout } = await runCommand(['compile', '.', '-o', 'json'], { cwd });
      await writeFile(join(cwd, 'b.json'), stdout);
      const { exitCode, stderr } = await runCommand(['explain', '--bundle', 'b.json', '--url', '/'], { cwd });

      expect([exitCode, stderr]).to.deep.equal([65, 'sallyport: b.json: holds 2 bundles: compile one with --workload\n']);
    });
  });

  it('exits with 65 for an unknown workload and names the known ones', async () => {
    const { exitCode, stdout, stderr } = await compile(FILES, '.', '--workload', 'foo/nope');

    expect([exitCode, stdout]).to.deep.equal([65, '']);
    expect(stderr).to.equal('sallyport: no workload foo/nope; known: foo/deployment/httpbin, foo/deployment/sleep\n');
  });

  it('writes one line per finding to stderr, exits with 79, and leaves the invalid policy out of the bundle', async () => {
    const bad = FILES['policies/allow.yaml']?.replace('"/headers"', '"/{*}/{"') ?? '';
    const { exitCode, stdout, stderr } = await compile({ ...FILES, 'policies/allow.yaml': bad }, '.');

    expect(exitCode).to.equal(79);
    expect(stderr).to.match(
      /^policies\/allow\.yaml:6:\d+: error: AuthorizationPolicy foo\/allow: spec\.rules\[0\]\.to\[0\]\.operation\.paths.*\[SP_PATH\]\n$/,
    );
    expect(stdout).to.not.include('AuthorizationPolicy foo/allow');
  });

  it('prints nothing to stdout and says why when there is no workload', async () => {
    const { exitCode, stdout, stderr } = await compile({ 'allow.yaml': FILES['policies/allow.yaml'] ?? '' }, '.');

    expect([exitCode, stdout, stderr]).to.deep.equal([
      0,
      '',
      'sallyport: no workloads in the input, so there is no bundle; add the manifests of the workloads\n',
    ]);
  });
});
