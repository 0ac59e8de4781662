/*
 * The workflows of the code host, checked by actionlint and zizmor, and that the release workflow makes the release with the command
 * that the other tests run.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parse } from 'yaml';
import { binaryPath, build } from '../cluster/build.ts';
import { cacheRoot, withLock } from '../cluster/cache.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const directory = join(root, '.github/workflows');
const files = readdirSync(directory).map((name) => join(directory, name));
const ZIZMOR = '1.32.0';

/** Installs zizmor once. @returns path of its program */
function zizmor(): Promise<string> {
  const goal = join(cacheRoot(), `zizmor-${ZIZMOR}`);
  return withLock('zizmor', async () => {
    if (existsSync(goal)) return join(goal, 'bin/zizmor');
    const work = `${goal}.installing`;
    await rm(work, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', work]);
    await run(join(work, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', `zizmor==${ZIZMOR}`]);
    await rename(work, goal);
    return join(goal, 'bin/zizmor');
  });
}

interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Readonly<
    Record<string, { readonly permissions: unknown; readonly steps: readonly { readonly run?: string; readonly uses?: string }[] }>
  >;
}

function workflow(name: string): Workflow {
  return parse(readFileSync(join(directory, name), 'utf8')) as Workflow;
}

describe('workflows', function () {
  this.timeout(300_000);
  before(() => build('integration'));

  it('are accepted by actionlint', async () => {
    const { stdout } = await run(binaryPath('actionlint'), ['-no-color', '-shellcheck=', '-pyflakes=', ...files]);

    expect(stdout).to.equal('');
  });

  it('are accepted by zizmor at its strictest', async () => {
    const program = await zizmor();
    const { stdout } = await run(program, ['--offline', '--no-progress', '--persona', 'pedantic', '--format', 'json', ...files]);

    expect(JSON.parse(stdout)).to.deep.equal([]);
  });

  it('have no rights but those that a job names', () => {
    for (const file of files) {
      const { permissions, jobs } = parse(readFileSync(file, 'utf8')) as Workflow;
      expect(permissions, file).to.deep.equal({});
      for (const [name, job] of Object.entries(jobs)) expect(job.permissions, `${file} ${name}`).to.be.an('object');
    }
  });

  it('run code of the project only where nothing can be written, and make the release by one command', () => {
    const { build: making, publish } = workflow('release.yaml').jobs;

    expect(making?.permissions).to.deep.equal({ contents: 'read' });
    const commands = making?.steps.map((step) => step.run ?? '').filter((text) => /npm|node /.test(text)) ?? [];
    expect(commands.flatMap((text) => text.match(/\bnpm (?:run )?[\w-]+/g) ?? [])).to.deep.equal(['npm ci', 'npm run release']);
    expect(publish?.steps.some(({ uses = '' }) => uses.startsWith('actions/checkout@'))).to.equal(false);
    expect(publish?.steps.some(({ run: text = '' }) => /\b(npm|node)\b/.test(text))).to.equal(false);
  });
});
