/*
 * `npm start`: the JWT task with no cluster. Starts the example workload and its key server, runs `sallyport run` on a
 * folder, puts the policies in one after the other as a user would, and shows each request with its code. Stays up
 * afterwards; with `--once` it ends, with 0 only if every row was as it should be.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import { columnWidths, formatRow, paint } from '../../src/cli/output/table.ts';
import { runDirectory } from '../../src/standalone/run-directory.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { makeTokens, writeTokens } from './make-tokens.ts';

const here = dirname(fileURLToPath(import.meta.url));
const live = join(here, 'live');
const folder = join(live, 'manifests');

type TokenName = 'none' | 'malformed' | 'token' | 'token-group' | 'token-group-string' | 'token-expired' | 'token-other-key';

interface Step {
  readonly title: string;
  /** Changes the folder as a user would. */
  readonly change: () => Promise<void>;
  readonly rows: readonly { readonly token: TokenName; readonly status: number }[];
}

const once = process.argv.includes('--once');
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

/** The wanted port when it is free, else any free one. */
async function choosePort(wanted: number): Promise<number> {
  const listen = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const server = createServer();
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
      });
    });
  return listen(wanted).catch(() => listen(0));
}

/** Starts one of the example's servers; resolves when it says that it listens. */
function startServer(file: string, env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, [join(here, file)], {
    env: { ...process.env, HOST: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stop.signal.addEventListener('abort', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)));
  });
}

/** One GET, as the task's curl makes it. */
function get(port: number, token: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const outgoing = request({ host: '127.0.0.1', port, path: '/headers', headers, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}

await rm(live, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const made = await makeTokens(Math.floor(Date.now() / 1000));
await writeTokens(live, made);
const ports = { agent: await choosePort(8000), app: await choosePort(8080), issuer: await choosePort(8001) };
const withPorts = (text: string): string =>
  text
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${ports.agent}`)
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${ports.app}`)
    .replaceAll('127.0.0.1:8001', `127.0.0.1:${ports.issuer}`);
const put = async (from: string, to: string): Promise<void> =>
  writeFile(join(folder, to), withPorts(await readFile(join(here, from), 'utf8')));

await startServer('httpbin.mjs', { PORT: String(ports.app) });
await startServer('issuer.mjs', { PORT: String(ports.issuer), JWKS_FILE: join(live, 'jwks.json') });
await put('manifests/workloads.yaml', 'workloads.yaml');
const running = await runDirectory(
  {
    directory: folder,
    mesh: DEFAULT_MESH_CONFIG,
    logger: createLogger({ level: 'warn', component: 'sallyport', fd: 2 }),
    accessLog: false,
  },
  stop.signal,
);

const ra = 'request-authentication.yaml';
const ap = 'authorization-policy.yaml';
const steps: readonly Step[] = [
  { title: 'no policy', change: async () => {}, rows: [{ token: 'none', status: 200 }] },
  {
    title: 'RequestAuthentication',
    change: () => put('policies/1-request-authentication.yaml', ra),
    rows: [
      { token: 'malformed', status: 401 },
      { token: 'none', status: 200 },
      { token: 'token', status: 200 },
      { token: 'token-expired', status: 401 },
      { token: 'token-other-key', status: 401 },
    ],
  },
  {
    title: '+ ALLOW requestPrincipals',
    change: () => put('policies/2-require-jwt.yaml', ap),
    rows: [
      { token: 'none', status: 403 },
      { token: 'token', status: 200 },
      { token: 'malformed', status: 401 },
    ],
  },
  {
    title: '+ when claims[groups]',
    change: () => put('policies/3-require-group.yaml', ap),
    rows: [
      { token: 'token', status: 403 },
      { token: 'token-group', status: 200 },
      { token: 'token-group-string', status: 200 },
      { token: 'none', status: 403 },
    ],
  },
  {
    title: 'policies deleted',
    change: async () => {
      await rm(join(folder, ap));
      await rm(join(folder, ra));
    },
    rows: [
      { token: 'none', status: 200 },
      { token: 'malformed', status: 200 },
    ],
  },
];

const tokenOf = (name: TokenName): string | undefined =>
  name === 'none' ? undefined : name === 'malformed' ? 'invalidToken' : made.tokens[name];

/** Asks until the expected code comes or five seconds are over: a change needs a moment to be in force. */
async function ask(token: TokenName, status: number): Promise<number> {
  const deadline = performance.now() + 5000;
  for (;;) {
    const got = await get(ports.agent, tokenOf(token));
    if (got === status || performance.now() > deadline) return got;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const header = ['policies in the folder', 'token', 'expected', 'got', '', 'after the edit'];
const widths = columnWidths([header, ...steps.flatMap((step) => step.rows.map((row) => [step.title, row.token, '', '', 'wrong', '']))]);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
say(`\nThe JWT task on http://127.0.0.1:${ports.agent}/headers, policies in ${relative(process.cwd(), folder)}\n`);
say(
  formatRow(
    header.map((text) => ({ text, style: 'bold' })),
    widths,
  ),
);

let wrong = 0;
for (const step of steps) {
  await step.change();
  const edited = performance.now();
  for (const [index, row] of step.rows.entries()) {
    const got = await ask(row.token, row.status);
    const right = got === row.status;
    if (!right) wrong += 1;
    const mark = right ? ({ text: 'ok', style: 'green' } as const) : ({ text: 'wrong', style: 'red' } as const);
    const delay = index === 0 && step.title !== 'no policy' ? `${Math.round(performance.now() - edited)} ms` : '';
    say(formatRow([index === 0 ? step.title : '', row.token, String(row.status), String(got), mark, delay], widths));
  }
}
say('');
say(wrong === 0 ? paint('every row is as it should be', 'green') : paint(`${wrong} rows are not as they should be`, 'red'));

if (once) {
  stop.abort();
} else {
  await put('policies/1-request-authentication.yaml', ra);
  await put('policies/3-require-group.yaml', ap);
  const shown = relative(process.cwd(), live);
  say(`\nIt stays up, with the last two policies in force again. Try, in another terminal:\n
  curl -i http://127.0.0.1:${ports.agent}/headers
  curl -i -H "Authorization: Bearer $(cat ${shown}/token-group)" http://127.0.0.1:${ports.agent}/headers

Edit the files in ${relative(process.cwd(), folder)}; the next request is judged by what you saved. Ctrl-C ends it.`);
}
await running.stopped;
process.exitCode = wrong === 0 ? 0 : 1;
