import { symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: foo }
spec: { ruels: [{}] }
`;

function check(make: (cwd: string) => void, files: Readonly<Record<string, string>> = { 'p/a.yaml': POLICY }): Promise<CliResult> {
  return withDirectory(files, async (cwd) => {
    make(cwd);
    return runCommand(['check', 'p'], { cwd });
  });
}

describe('links in a directory of manifests', () => {
  it('are followed within the directory, as volumes of Kubernetes have them', async () => {
    const { exitCode, stdout } = await check((cwd) => symlinkSync('..data/a.yaml', join(cwd, 'p/a.yaml')), { 'p/..data/a.yaml': POLICY });

    expect(exitCode).to.equal(79);
    expect(stdout).to.include('p/a.yaml:4:9');
  });

  it('are errors when they lead elsewhere, to nothing or to themselves', async () => {
    for (const [target, reason] of [
      ['/etc/passwd', 'it is a link to a file outside of the directory; name that file itself'],
      ['../b.yaml', 'it is a link to a file outside of the directory; name that file itself'],
      ['nothing', 'no such file or directory'],
      ['x.yaml', 'too many symbolic links encountered'],
    ] as const) {
      const { exitCode, stdout } = await check((cwd) => symlinkSync(target, join(cwd, 'p/x.yaml')), { 'p/a.yaml': '', 'b.yaml': POLICY });

      expect(exitCode).to.equal(65);
      expect(stdout).to.include(`cannot be read: ${reason}`);
    }
  });
});

describe('large files', () => {
  it('are errors without being read', async () => {
    const { exitCode, stdout } = await check((cwd) => truncateSync(join(cwd, 'p/a.yaml'), 2 ** 40));

    expect(exitCode).to.equal(65);
    expect(stdout).to.include('p/a.yaml:1:1').and.to.include('larger than 64 MiB');
  });
});
