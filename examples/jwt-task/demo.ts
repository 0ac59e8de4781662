/*
 * `npm start`: the JWT task without a cluster. Starts the example workload and its key server, runs `sallyport run` on a
 * directory, adds the policies one after the other as a user would, and shows each request with its status code. Keeps
 * running afterwards; with `--once` it exits, with 0 only if every status was the expected one.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import type { CommandContext } from '../../src/cli/context/command-context.ts';
import { checkManifests } from '../../src/cli/input/check-findings.ts';
import { readKeySets } from '../../src/cli/input/key-sets.ts';
import { policySetOf } from '../../src/cli/input/policy-set.ts';
import { readManifests } from '../../src/cli/input/read-manifests.ts';
import { readSpec } from '../../src/cli/input/request-spec.ts';
import { applySuppressions, suppressionsOf } from '../../src/cli/input/suppressions.ts';
import { nearestText } from '../../src/cli/output/explanation.ts';
import { formatFindingTable } from '../../src/cli/output/findings.ts';
import { columnWidths, formatRow, paint } from '../../src/cli/output/table.ts';
import { explainRequest } from '../../src/explain/explain-request.ts';
import { runDirectory } from '../../src/standalone/run-directory.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { makeTokens, writeTokens } from './make-tokens.ts';

const here = dirname(fileURLToPath(import.meta.url));
const live = join(here, 'live');
const directory = join(live, 'manifests');

type TokenName = 'none' | 'malformed' | 'token' | 'token-group' | 'token-group-string' | 'token-expired' | 'token-other-key';

interface Step {
  readonly title: string;
  /** Changes the directory as a user would. */
  readonly change: () => Promise<void>;
  readonly rows: readonly { readonly token: TokenName; readonly status: number }[];
}

const once = process.argv.includes('--once');
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

/** The wanted port if it is free, otherwise any free port. */
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

/** Starts one of the example's servers; resolves when it listens. */
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

/** Sends one GET, like the curl command of the task. */
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
await mkdir(directory, { recursive: true });
const made = await makeTokens(Math.floor(Date.now() / 1000));
await writeTokens(live, made);
const ports = { agent: await choosePort(8000), app: await choosePort(8080), issuer: await choosePort(8001) };
const withPorts = (text: string): string =>
  text
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${ports.agent}`)
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${ports.app}`)
    .replaceAll('127.0.0.1:8001', `127.0.0.1:${ports.issuer}`);
const put = async (from: string, to: string): Promise<void> =>
  writeFile(join(directory, to), withPorts(await readFile(join(here, from), 'utf8')));

await startServer('httpbin.mjs', { PORT: String(ports.app) });
await startServer('issuer.mjs', { PORT: String(ports.issuer), JWKS_FILE: join(live, 'jwks.json') });
await put('manifests/workloads.yaml', 'workloads.yaml');
const running = await runDirectory(
  {
    directory,
    mesh: DEFAULT_MESH_CONFIG,
    // Warnings are about limits of this machine, for example of file descriptors; the table shows what matters here.
    logger: createLogger({ level: 'error', component: 'sallyport', fd: 2 }),
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
      await rm(join(directory, ap));
      await rm(join(directory, ra));
    },
    rows: [
      { token: 'none', status: 200 },
      { token: 'malformed', status: 200 },
    ],
  },
];

const tokenOf = (name: TokenName): string | undefined =>
  name === 'none' ? undefined : name === 'malformed' ? 'invalidToken' : made.tokens[name];

/** Repeats the request until it gets the expected status, for at most five seconds: a change takes a moment to become active. */
async function ask(token: TokenName, status: number): Promise<number> {
  const deadline = performance.now() + 5000;
  for (;;) {
    const got = await get(ports.agent, tokenOf(token));
    if (got === status || performance.now() > deadline) return got;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What `sallyport check` and `sallyport explain` read; neither uses the streams. */
const context: CommandContext = {
  stdout: process.stdout,
  stderr: process.stderr,
  readStdin: async () => '',
  cwd: process.cwd(),
  env: process.env,
  signal: stop.signal,
  processes: { controller: async () => 0, agent: async () => 0 },
};

/** Why the policies in the directory deny GET /headers, in one line. */
async function whyDenied(token: string | undefined): Promise<string> {
  const set = policySetOf(
    await readManifests([directory], context),
    DEFAULT_MESH_CONFIG,
    await readKeySets([join(live, 'jwks.json')], context),
  );
  const headers: readonly (readonly [string, string])[] = token === undefined ? [] : [['Authorization', `Bearer ${token}`]];
  const read = readSpec({ path: '/headers', port: ports.app, headers }, `127.0.0.1:${ports.agent}`);
  if (read.kind === 'reply') return read.details;
  const explanation = explainRequest(set.target('foo/httpbin', undefined), read.request, Math.floor(Date.now() / 1000));
  return nearestText(explanation) ?? explanation.decidedBy.text;
}

/** Prints what `sallyport check` says about the directory. */
async function sayFindings(): Promise<void> {
  const manifests = await readManifests([relative(process.cwd(), directory)], context);
  const { findings } = applySuppressions(checkManifests(manifests, DEFAULT_MESH_CONFIG).findings, suppressionsOf(manifests.objects));
  say(findings.length === 0 ? '\nsallyport check finds nothing in the directory' : `\n${formatFindingTable(findings, process.stdout)}`);
}

const header = ['policies in the directory', 'token', 'expected', 'got', '', 'after the edit'];
const widths = columnWidths([header, ...steps.flatMap((step) => step.rows.map((row) => [step.title, row.token, '', '', 'wrong', '']))]);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
say(`\nThe JWT task on http://127.0.0.1:${ports.agent}/headers, policies in ${relative(process.cwd(), directory)}\n`);
say(
  formatRow(
    header.map((text) => ({ text, style: 'bold' })),
    widths,
  ),
);

let wrong = 0;
const denials: string[] = [];
for (const step of steps) {
  await step.change();
  const edited = performance.now();
  for (const [index, row] of step.rows.entries()) {
    const got = await ask(row.token, row.status);
    const right = got === row.status;
    if (!right) wrong += 1;
    if (got === 401 || got === 403) denials.push(`${got}  ${step.title}, token ${row.token}: ${await whyDenied(tokenOf(row.token))}`);
    const mark = right ? ({ text: 'ok', style: 'green' } as const) : ({ text: 'wrong', style: 'red' } as const);
    const delay = index === 0 && step.title !== 'no policy' ? `${Math.round(performance.now() - edited)} ms` : '';
    say(formatRow([index === 0 ? step.title : '', row.token, String(row.status), String(got), mark, delay], widths));
  }
}
say('');
for (const line of denials) say(line);
say('');
say(
  wrong === 0 ? paint('every request got the expected status', 'green') : paint(`${wrong} requests did not get the expected status`, 'red'),
);

if (once) {
  stop.abort();
} else {
  await put('policies/1-request-authentication.yaml', ra);
  await put('policies/3-require-group.yaml', ap);
  await sayFindings();
  const shown = relative(process.cwd(), live);
  say(`\nIt keeps running, with the last two policies active again. Try in another terminal:\n
  curl -i http://127.0.0.1:${ports.agent}/headers
  curl -i -H "Authorization: Bearer $(cat ${shown}/token-group)" http://127.0.0.1:${ports.agent}/headers

Edit the files in ${relative(process.cwd(), directory)}; the next request is evaluated with what you saved. Ctrl-C stops it.`);
}
await running.stopped;
process.exitCode = wrong === 0 ? 0 : 1;
