import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { runCommand } from '../../../support/cli-context.ts';

/** The completions that bash offers when the cursor is at the end of `line`. */
async function bashOffers(line: string): Promise<readonly string[]> {
  const { stdout: script } = await runCommand(['completion', 'bash']);
  const words = line.split(' ');
  const run = `${script}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
_sallyport
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', run], { encoding: 'utf8', cwd: '/' });
  expect(stderr).to.equal('');
  return stdout.split('\n').filter((word) => word !== '');
}

describe('sallyport completion', () => {
  const offers: readonly (readonly [line: string, some: readonly string[], none: readonly string[]])[] = [
    ['sallyport ', ['run', 'check', 'compile', 'inject', '--version'], ['--config']],
    ['sallyport co', ['compile', 'controller', 'completion'], ['run']],
    ['sallyport check --', ['--config', '--fail-on', '--output', '--help'], ['--image']],
    ['sallyport check --fail-on ', ['error', 'warning'], ['json']],
    ['sallyport check -o ', ['table', 'json', 'yaml'], ['error']],
    ['sallyport inject -f ', ['etc'], ['--image']],
    ['sallyport completion ', ['bash', 'zsh', 'fish', 'powershell', 'kubectl'], []],
    ['sallyport keys ', ['show', 'rotate', 'restore', 'reset', '--help'], ['--namespace', 'verify']],
    ['sallyport keys r', ['rotate', 'restore', 'reset'], ['show']],
    ['sallyport keys show --', ['--anchor', '--namespace', '--output'], ['--root', '--yes']],
    ['sallyport keys show -o ', ['table', 'json', 'yaml'], ['show']],
    ['sallyport keys rotate --', ['--root', '--kubeconfig'], ['--anchor']],
    ['sallyport keys restore e', ['etc'], ['--yes']],
    ['sallyport bundle ', ['show', 'verify'], ['rotate']],
    ['sallyport logs --', ['--denied', '--follow', '--namespace'], ['--anchor']],
    ['sallyport bundle verify --', ['--trust-anchor', '--output'], ['--namespace']],
  ];
  for (const [line, some, none] of offers) {
    it(`offers ${some.join(', ')} in bash after "${line}"`, async () => {
      const offered = await bashOffers(line);

      expect(offered).to.include.members([...some]);
      expect(offered.filter((word) => none.includes(word))).to.deep.equal([]);
    });
  }

  for (const shell of ['zsh', 'fish'] as const) {
    it(`prints a ${shell} script with every command and the choices of its options`, async () => {
      const { exitCode, stdout } = await runCommand(['completion', shell]);

      expect(exitCode).to.equal(0);
      for (const name of ['run', 'check', 'compile', 'inject', 'controller', 'agent', 'completion', 'version'])
        expect(stdout).to.include(name);
      for (const name of ['rotate', 'restore', 'verify', 'trust-anchor']) expect(stdout).to.include(name);
      expect(stdout).to.include('table json yaml').and.to.include('error warning');
    });
  }

  it('asks the program for names of the cluster in bash', async () => {
    const { stdout: script } = await runCommand(['completion', 'bash']);
    const run = `${script}
sallyport() { printf 'web-1\\ndeployment/web\\tmeaning\\n:4\\n'; }
COMP_WORDS=(sallyport logs -n shop '')
COMP_CWORD=4
_sallyport
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['--norc', '-c', run], { encoding: 'utf8', cwd: '/' });

    expect(stdout.split('\n')).to.include.members(['web-1', 'deployment/web', '--denied']).and.not.include(':4');
  });

  it('prints a program for kubectl that passes its words on', async () => {
    const { stdout } = await runCommand(['completion', 'kubectl']);

    expect(stdout)
      .to.match(/^#!\/bin\/sh\n/)
      .and.to.include('exec kubectl-sallyport __complete "$@"');
  });

  it('prints a PowerShell script that registers both names of the program', async () => {
    const { stdout } = await runCommand(['completion', 'powershell']);

    expect(stdout).to.include('-CommandName sallyport, kubectl-sallyport').and.to.include('sallyport __complete @flags @words');
  });

  it('exits with 64 for an unknown shell', async () => {
    expect((await runCommand(['completion', 'tcsh'])).exitCode).to.equal(64);
  });
});
