import { expect } from 'chai';
import { runCommand } from '../../../support/cli-context.ts';

/** The words that kubectl would offer, and whether it would offer files, too. */
async function offers(...words: readonly string[]): Promise<{ readonly words: readonly string[]; readonly files: boolean }> {
  const { exitCode, stdout, stderr } = await runCommand(['__complete', ...words]);
  expect([exitCode, stderr]).to.deep.equal([0, '']);
  const lines = stdout.trimEnd().split('\n');
  const directive = lines.pop();
  expect(directive).to.match(/^:[04]$/);
  return { words: lines.map((line) => line.split('\t')[0] ?? ''), files: directive === ':0' };
}

describe('sallyport __complete', () => {
  it('offers commands with their summaries, without itself', async () => {
    const { stdout } = await runCommand(['__complete', '']);

    expect(stdout).to.include('check\tcheck policies in files or in a cluster\n').and.not.include('__complete');
    expect((await offers('co')).words).to.deep.equal(['compile', 'controller', 'completion']);
  });

  it('offers subcommands, options and choices', async () => {
    expect((await offers('keys', 'r')).words).to.deep.equal(['rotate', 'restore', 'reset']);
    expect((await offers('bundle', '')).words).to.deep.equal(['show', 'verify']);
    expect((await offers('bundle', 'verify', '--t')).words).to.deep.equal(['--trust-anchor']);
    expect(await offers('check', '-o', '')).to.deep.equal({ words: ['table', 'json', 'yaml', 'sarif'], files: false });
    expect((await offers('completion', 'p')).words).to.deep.equal(['powershell']);
    expect((await offers('logs', 'web-1', '--d')).words).to.deep.equal(['--denied']);
  });

  it('offers files where a command takes files', async () => {
    expect(await offers('compile', 'x')).to.deep.equal({ words: [], files: true });
    expect(await offers('check', '--config', '')).to.deep.equal({ words: [], files: true });
    expect(await offers('version', '')).to.deep.equal({ words: [], files: false });
  });

  it('offers nothing and reports nothing when there is no cluster', async () => {
    expect(await offers('logs', '')).to.deep.equal({ words: [], files: false });
    expect(await offers('check', '-n', '')).to.deep.equal({ words: [], files: false });
  });

  it('takes --next for an empty last word', async () => {
    expect((await offers('--next', 'keys')).words).to.deep.equal(['show', 'rotate', 'restore', 'reset']);
  });
});
