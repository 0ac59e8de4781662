/* Images start Node.js without the inspector that SIGUSR1 opens: it would run any code in the agent. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';

/** Arguments of Node.js in the entry point of an image. */
function flagsOf(dockerfile: string): readonly string[] {
  const text = readFileSync(new URL(`../../../${dockerfile}`, import.meta.url), 'utf8');
  const entrypoint = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1] ?? '[]') as readonly string[];
  return entrypoint.slice(1, -1);
}

/** Prints the address of the inspector, waiting for it to open; `undefined` when it does not. */
const PROGRAM = `
  const { url } = require('node:inspector');
  process.stdin.once('data', async () => {
    for (let tries = 0; tries < 20 && url() === undefined; tries += 1) await new Promise((resolve) => setTimeout(resolve, 25));
    console.log(url());
    process.exit();
  });
  console.log('up');
`;

/** Starts Node.js with flags and sends it SIGUSR1. @returns what {@link PROGRAM} prints then, and the exit code */
async function signalled(flags: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [...flags, '--inspect-port=127.0.0.1:0', '--eval', PROGRAM], { stdio: ['pipe', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await once(child.stdout, 'data');
  child.kill('SIGUSR1');
  child.stdin.end('signalled');
  const [code] = (await once(child, 'close')) as [number | null];
  return `${output.replace('up\n', '').trim()} ${code}`;
}

describe('SIGUSR1', () => {
  it('opens the inspector of a Node.js without the flag', async () => {
    expect(await signalled([])).to.match(/^ws:.* 0$/);
  });

  for (const dockerfile of ['Dockerfile.agent', 'Dockerfile.controller']) {
    it(`opens no inspector in the process of ${dockerfile}`, async () => {
      expect(flagsOf(dockerfile)).to.include('--disable-sigusr1');
      expect(await signalled(flagsOf(dockerfile))).to.equal('undefined 0');
    });
  }
});
