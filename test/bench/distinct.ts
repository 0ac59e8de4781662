/*
 * `node test/bench/distinct.ts [--tokens N] [--issuers N] [--source DIR]`: resident memory of an agent that sees a million distinct valid tokens
 * of 1 KB, of 50 issuers in turn.
 */
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent, buildUpstream } from './support/agent-build.ts';
import { writeJwtBundle } from './support/demo-bundle.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { bearerRequest, RawClient } from './support/raw-client.ts';

const AGENT_CORE = 1;
const LOAD_CORE = 0;
const UPSTREAM_PORT = 21_760;
const AGENT_PORT = 21_761;
const CONNECTIONS = 32;
const REPORTS = 10;
const SECRET = Buffer.alloc(32, 7);
const HEADER = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'k' })).toString('base64url');
const PADDING = 'x'.repeat(600);

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1000000' },
    issuers: { type: 'string', default: '50' },
    source: { type: 'string', default: '.' },
  },
});
const tokens = Number(values.tokens);
const issuers = Number(values.issuers);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-distinct-'));
const running: Pinned[] = [];

const issuerOf = (at: number): string => `https://issuer-${at}.example`;

function tokenOf(at: number): string {
  const claims = { iss: issuerOf(at % issuers), sub: `user-${at}`, exp: 4_000_000_000, padding: PADDING };
  const text = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
}

async function main(): Promise<void> {
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)]);
  running.push(await startPinned([buildUpstream(directory), String(UPSTREAM_PORT), '2'], { core: LOAD_CORE }));
  const jwks = JSON.stringify({ keys: [{ kty: 'oct', kid: 'k', alg: 'HS256', k: SECRET.toString('base64url') }] });
  const bundle = join(directory, 'bundle');
  writeJwtBundle(
    bundle,
    Array.from({ length: issuers }, (_, at) => ({ issuer: issuerOf(at), jwks })),
  );
  const entry = join(directory, 'agent.mjs');
  const source = resolve(values.source);
  await buildAgent(source, entry);
  const ports = ['--ports', `${AGENT_PORT}:${UPSTREAM_PORT}`, '--admin-port', String(AGENT_PORT + 1)];
  const agent = await startPinned([...agentCommand(source), entry, ...ports, '--bundle-dir', bundle], {
    core: AGENT_CORE,
    until: { url: `http://127.0.0.1:${AGENT_PORT}/`, headers: {} },
  });
  running.push(agent);
  const idle = agent.rssMiB();
  let sent = 0;
  let highest = idle;
  const report = (): void => {
    highest = Math.max(highest, agent.rssMiB());
    if (sent % (tokens / REPORTS) === 0) process.stdout.write(`${sent} tokens: RSS ${agent.rssMiB().toFixed(1)} MiB\n`);
  };
  const send = async (): Promise<void> => {
    const client = new RawClient(AGENT_PORT);
    while (sent < tokens) {
      const status = await client.send(bearerRequest('/', tokenOf(sent++)));
      if (status !== '200') throw new Error(`expected 200, got ${status}`);
      if (sent % 1000 === 0) report();
    }
    client.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, send));
  process.stdout.write(`idle ${idle.toFixed(1)}, highest ${highest.toFixed(1)} MiB\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  for (const one of running) await one.stop();
  rmSync(directory, { recursive: true });
}
