import { join } from 'node:path';
import { expect } from 'chai';
import { build, type Metafile } from 'esbuild';
import { buildOptions, requireBudget } from '../../../../scripts/build.ts';
import { checkLanguages, checkOutput } from '../../../../scripts/dependencies/check-output.ts';

const root = join(import.meta.dirname, '../../../..');
const budget = { packages: ['agent', 'errors.ts'], npm: ['pino', 'zod/mini'], maxKiB: 2 };

function output(bytes: number, ...inputs: readonly string[]): Parameters<typeof checkOutput>[1] {
  return { bytes, inputs: Object.fromEntries(inputs.map((input) => [input, { bytesInOutput: 1 }])) };
}

/** What esbuild says of the agent's file with more imports; nothing is written. */
async function metafileWith(source: string): Promise<Metafile> {
  const { metafile } = await build({
    ...buildOptions('agent'),
    stdin: { contents: `import './src/main/agent.ts';\n${source}`, resolveDir: root },
    absWorkingDir: root,
    outfile: 'dist/agent.mjs',
    write: false,
  });
  return metafile;
}

async function buildAgentWith(source: string): Promise<void> {
  const metafile = await metafileWith(source);
  const [built] = Object.values(metafile.outputs);
  delete built?.inputs['<stdin>'];
  requireBudget('agent', metafile);
}

async function problemOf(run: Promise<void>): Promise<string> {
  return run.then(
    () => '',
    (error: Error) => error.message,
  );
}

describe('languages of a built file', () => {
  it('may be English only', () => {
    const [english, other] = ['node_modules/zod/v4/locales/en.js', 'node_modules/zod/v4/locales/de.js'];

    expect(checkLanguages('cli', output(1, english, 'node_modules/zod/v4/core/index.js'))).to.deep.equal([]);
    expect(checkLanguages('cli', output(1, english, other))).to.deep.equal([
      "dist/cli.mjs contains 1 languages of zod: write import * as z from 'zod'",
    ]);
  });
});

describe('budget of a built file', () => {
  it('accepts listed packages, files and directories below the size', () => {
    const built = output(2048, 'src/agent/a.ts', 'src/errors.ts', 'node_modules/pino/pino.js', 'node_modules/zod/mini/index.js');
    expect(checkOutput('agent', built, budget)).to.deep.equal([]);
  });

  it('refuses inputs that are not listed', () => {
    const inputs = ['src/agents/a.ts', 'src/cluster/client.ts', 'node_modules/pinox/a.js', 'node_modules/zod/v4/classic/a.js'];
    expect(checkOutput('agent', output(1, ...inputs), budget)).to.have.length(4);
    expect(checkOutput('agent', output(1, 'node_modules/pino/node_modules/yaml/a.js'), budget)).to.have.length(1);
  });

  it('refuses a file above its size', () => {
    expect(checkOutput('agent', output(2049), budget)).to.deep.equal(['dist/agent.mjs has 2 KiB, more than its budget of 2 KiB']);
  });

  it('accepts the agent', async () => {
    expect(await problemOf(buildAgentWith(''))).to.equal('');
  });

  it('starts the agent without the parts of Node.js that few agents need', async () => {
    const [built] = Object.values((await metafileWith('')).outputs);
    const loaded = built?.imports.filter(({ kind }) => kind === 'import-statement').map(({ path }) => path);

    expect(loaded).to.include('node:net');
    expect(loaded).not.to.include.oneOf(['node:tls', 'node:http', 'node:https', 'node:http2']);
  });

  it('accepts the client of the feed, and refuses the agent with it', async () => {
    const { metafile } = await build({
      ...buildOptions('agent-feed'),
      entryPoints: ['src/agent/bundles/feed-source.ts'],
      absWorkingDir: root,
      outfile: 'dist/agent-feed.mjs',
      write: false,
    });
    requireBudget('agent-feed', metafile);
    const problem = await problemOf(
      buildAgentWith("import { connectFeed } from './src/feed-client/feed-stream.ts'; console.log(connectFeed);"),
    );
    expect(problem).to.include('contains src/feed/');
  });

  it('refuses the agent when it imports prom-client and yaml', async () => {
    const problem = await problemOf(buildAgentWith("import * as a from 'prom-client'; import * as b from 'yaml'; console.log(a, b);"));
    expect(problem).to.include('contains node_modules/prom-client/').and.to.include('contains node_modules/yaml/');
    expect(problem).to.match(/has \d+ KiB, more than its budget/);
  });
});
