/*
 * The command line as a separate process.
 */
import { spawnSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { TRUST_ANCHOR_FILE } from '../../support/guarded-pods.ts';
import { withDirectory } from '../../support/temporary-directory.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin }
spec: { template: { spec: { containers: [{ name: httpbin, image: httpbin, ports: [{ containerPort: 80 }] }] } } }
`;

function sallyport(
  args: readonly string[],
  input = '',
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['src/main/cli.ts', ...args], { cwd: root, encoding: 'utf8', input });
  return { code: status, stdout, stderr };
}

describe('node src/main/cli.ts', function () {
  it('checks the policies of the example', () => {
    const files = ['policies/1-request-authentication.yaml', 'policies/2-require-jwt.yaml', 'manifests'].map(
      (name) => `examples/jwt-task/${name}`,
    );

    expect(sallyport(['check', ...files])).to.deep.include({ code: 0, stdout: '' });
  });

  it('injects the agent into standard input', () => {
    const { code, stdout, stderr } = sallyport(['inject', '--trust-anchor', TRUST_ANCHOR_FILE, '-f', '-'], DEPLOYMENT);

    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.include('name: sallyport-agent');
  });

  it('exits with the exit code of the command', () => {
    expect(sallyport(['check', '/nonexistent']).code).to.equal(65);
    expect(sallyport(['nope']).code).to.equal(64);
  });

  it('completes a word when it is run as kubectl_complete-sallyport', async () => {
    await withDirectory({}, (directory) => {
      const link = join(directory, 'kubectl_complete-sallyport');
      symlinkSync(join(root, 'src/main/cli.ts'), link);
      const { stdout } = spawnSync(process.execPath, [link, 'keys', 'r'], { encoding: 'utf8' });

      expect(stdout).to.match(/^rotate\t.+\nrestore\t.+\nreset\t.+\n:4\n$/);
      return Promise.resolve();
    });
  });

  for (const [name, needed] of [
    ['agent', '--ports'],
    ['controller', '--workers'],
  ] as const) {
    it(`passes flags to the ${name}, which exits with 78 for an invalid one`, () => {
      const { code, stdout, stderr } = sallyport([name, needed, 'x']);

      expect(code).to.equal(78);
      expect(stdout + stderr).to.include('SP_CONFIG');
    });
  }
});
