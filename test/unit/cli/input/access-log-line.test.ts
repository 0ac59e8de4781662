/*
 * Lines that a real agent wrote, as requests of `explain` and `diff`: the agent decides requests over a socket, and both commands take its
 * output as it is.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { startAgent } from '../../../../src/agent/agent.ts';
import { parsePolicy } from '../../../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../../../src/api/mesh-config.ts';
import { compileWorkload } from '../../../../src/compile/compile-workload.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { selectFrom } from '../../../support/select-policies.ts';
import { filesOf, mountVolume, newFolder } from '../../agent/bundles.ts';
import { RawClient } from '../../agent/loopback.ts';

const ISSUER = 'https://issuer.example';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256' }] });

function tokenOf(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'ES256', kid: 'k' })}.${part({ iss: ISSUER, sub: 'team/alice', aud: 'app', ...claims })}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** @param paths that anybody may read */
const policies = (paths: string): string => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: "${ISSUER}", audiences: [app], jwks: '${jwks}' }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: foo }
spec: { action: DENY, rules: [{ when: [{ key: remote.ip, values: [203.0.113.0/24] }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: allow, namespace: foo }
spec:
  rules:
    - { to: [{ operation: { paths: ["${paths}"] } }] }
    - { from: [{ source: { requestPrincipals: ["${ISSUER}/*"] } }], to: [{ operation: { paths: ["/alice"] } }] }
    - { to: [{ operation: { paths: ["/role"] } }], when: [{ key: "request.auth.claims[role]", values: [admin] }] }
    - { to: [{ operation: { paths: ["/header"] } }], when: [{ key: "request.headers[x-team]", values: [blue] }] }
    - { to: [{ operation: { paths: ["/pkg.Service/*"], methods: [POST] } }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin, namespace: foo }
spec: { template: { metadata: { labels: { app: httpbin } } } }
`;

const message = (line: string, ...fields: string[]): string =>
  `${line} HTTP/1.1\r\nHost: httpbin.foo\r\nConnection: close\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
const bearer = (token: string): string => `Authorization: Bearer ${token}`;
const REQUESTS = {
  allowed: message('GET /public/a?token=secret#x'),
  bytes: message('GET /public/%C3%A9%2f%41'),
  denied: message('DELETE /elsewhere'),
  principal: message('GET /alice', bearer(tokenOf({}))),
  expired: message('GET /alice', bearer(tokenOf({ exp: 1 }))),
  proxied: message('GET /public/a', 'X-Forwarded-For: 198.51.100.1, 203.0.113.9'),
  grpc: message('POST /pkg.Service/Do', 'Content-Type: application/grpc', 'Content-Length: 0'),
  grpcDenied: message('POST /other.Service/Do', 'Content-Type: application/grpc', 'Content-Length: 0'),
  role: message('GET /role', bearer(tokenOf({ role: 'admin' }))),
  header: message('GET /header', 'X-Team: blue'),
  malformed: message('GET /public/a', 'bad name: x'),
} as const;
type Name = keyof typeof REQUESTS;

describe('lines of an access log as requests', function () {
  let directory = '';
  let application: Server;
  let log = '';
  const lines = new Map<string, string>();

  before(async () => {
    directory = await newFolder();
    application = createServer((_, response) => response.end('app')).listen(0, '127.0.0.1');
    await once(application, 'listening');
    await writePolicies('a', '/public/*');
    await writePolicies('b', '/public/b');
    await writeLog();
    const written = log.split('\n').filter((line) => line.includes('"component":"access"'));
    for (const line of written) lines.set((JSON.parse(line) as { request_id: string }).request_id, line);
    lines.set('malformed', written.find((line) => line.includes('"decision":"reject"')) ?? '');
  });
  after(async () => {
    application.close();
    application.closeAllConnections();
    await rm(directory, { recursive: true });
  });

  async function writePolicies(name: string, paths: string): Promise<void> {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'policies.yaml'), policies(paths));
  }

  /** Writes the output of an agent that serves all requests. */
  async function writeLog(): Promise<void> {
    const bundleDir = join(directory, 'bundle');
    await mkdir(bundleDir);
    const values = parseAllDocuments(policies('/public/*')).map((document) => document.toJS() as { kind: string });
    const parsed = values.filter(({ kind }) => kind !== 'Deployment').flatMap((value) => parsePolicy(value).value ?? []);
    const workload = { namespace: 'foo', kind: 'Deployment', name: 'httpbin' } as const;
    const mesh = DEFAULT_MESH_CONFIG;
    const { bundle } = compileWorkload({ workload, labelSets: [{}], policiesFor: selectFrom(parsed), mesh, keySetOf: () => undefined });
    await mountVolume(bundleDir, filesOf(bundle));
    const fd = openSync(join(directory, 'log'), 'a');
    const agent = await startAgent(
      {
        bundleDir,
        workload,
        labelsFile: undefined,
        labels: undefined,
        stateDir: undefined,
        pollMs: 10_000,
        ports: [{ listenPort: 0, appPort: (application.address() as AddressInfo).port }],
        listenHost: '127.0.0.1',
        appHost: '127.0.0.1',
        destinationIp: undefined,
        blockedPort: undefined,
        admin: undefined,
        appProbes: {},
        accessLog: { fd, allowSampleRate: 1 },
        drainMs: 0,
        logger: createLogger({ level: 'silent', component: 'test' }),
        processMetrics: false,
      },
      new AbortController().signal,
    );
    for (const [name, bytes] of Object.entries(REQUESTS)) {
      const sent = bytes.replace('Connection: close', `X-Request-Id: ${name}\r\nConnection: close`);
      await new RawClient(agent.ports[0] ?? 0).send(sent).untilClosed();
    }
    await agent.stop();
    closeSync(fd);
    log = `{"level":"info","component":"agent","message":"agent listens"}\n${await readFile(join(directory, 'log'), 'utf8')}`;
    await writeFile(join(directory, 'log.jsonl'), log);
  }

  const explain = (name: Name, ...more: string[]): Promise<CliResult> =>
    runCommand(['explain', 'a', '--request', '-', '-o', 'json', ...more], { cwd: directory, stdin: `${lines.get(name)}\n` });
  interface Explained {
    readonly verdict: { readonly outcome: string; readonly principal?: string; readonly hint?: string };
    readonly decidedBy: { readonly rule?: { readonly policy: string; readonly rule: number } };
    readonly caveats: readonly string[];
    readonly rules: readonly {
      readonly rule: { readonly policy: string; readonly rule: number };
      readonly misses: readonly { readonly path: string }[];
    }[];
  }
  const explained = async (name: Name, ...more: string[]): Promise<Explained> => {
    const { exitCode, stdout, stderr } = await explain(name, ...more);
    expect([exitCode, stderr]).to.deep.equal([0, '']);
    return JSON.parse(stdout) as Explained;
  };

  for (const [name, outcome] of [
    ['allowed', 'allow'],
    ['bytes', 'allow'],
    ['denied', 'deny'],
    ['principal', 'allow'],
    ['proxied', 'deny'],
    ['grpc', 'allow'],
    ['grpcDenied', 'deny'],
  ] as const) {
    it(`gives the verdict of the agent: ${name}`, async () => {
      const line = JSON.parse(lines.get(name) ?? '') as Record<string, unknown>;
      const { verdict, decidedBy, caveats } = await explained(name);

      expect([line['decision'], verdict.outcome]).to.deep.equal([outcome, outcome]);
      expect(decidedBy.rule?.policy).to.equal(line['policy']);
      expect(decidedBy.rule?.rule).to.equal(line['rule']);
      expect(caveats.join()).to.include('the request is from an access log').and.not.include('decided otherwise');
    });
  }

  it('names the same nearest rule and clause as the agent', async () => {
    const line = JSON.parse(lines.get('denied') ?? '') as Record<string, unknown>;
    const [nearest] = (await explained('denied')).rules;
    expect([line['nearest.policy'], line['nearest.rule']]).to.deep.equal([nearest?.rule.policy, nearest?.rule.rule]);
    expect(line['nearest.clause']).to.equal(nearest?.misses[0]?.path);
  });

  it('knows issuer and subject of the token, even with a slash in the subject', async () => {
    expect((await explained('principal')).verdict.principal).to.equal(`${ISSUER}/team/alice`);
  });

  for (const [name, missing] of [
    ['role', 'request.auth.claims[role]'],
    ['header', 'request.headers[x-team]'],
    ['expired', 'the token'],
  ] as const) {
    it(`does not guess what the line lacks: ${name}`, async () => {
      const { verdict } = await explained(name);
      expect(verdict.outcome).to.equal('unknown');
      expect(verdict.hint).to.include(missing);
    });
  }

  it('takes what the line lacks from flags', async () => {
    const role = await explained('role', '--claims', `{"iss":"${ISSUER}","sub":"team/alice","aud":"app","role":"admin"}`);
    expect(role.verdict.outcome).to.equal('allow');
    const header = await explained('header', '-H', 'X-Team: blue');
    expect(header.verdict.outcome).to.equal('allow');
  });

  it('says when the agent decided otherwise', async () => {
    const { stdout } = await runCommand(['explain', 'b', '--request', '-', '-o', 'json'], {
      cwd: directory,
      stdin: lines.get('allowed') ?? '',
    });
    expect((JSON.parse(stdout) as Explained).caveats).to.include('the agent decided otherwise when it logged the request: allow');
  });

  it('refuses a request that no policy saw', async () => {
    const { exitCode, stderr } = await explain('malformed');
    expect(exitCode).to.equal(65);
    expect(stderr).to.include('it was refused before any policy');
  });

  it('takes one line of a whole output with --entry', async () => {
    const args = ['explain', 'a', '--request', 'log.jsonl', '-o', 'json', '--entry'];
    const { stdout } = await runCommand([...args, '2'], { cwd: directory });
    expect((JSON.parse(stdout) as Explained).verdict.outcome).to.equal('deny');
    const { exitCode, stderr } = await runCommand([...args, '99'], { cwd: directory });
    expect([exitCode, stderr]).to.deep.equal([65, 'sallyport: log.jsonl: there is no line 99 of an access log; it has 11\n']);
  });

  it('compares two sets of policies, and counts apart what the log does not have', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['diff', 'a', 'b', '--requests', 'log.jsonl', '-o', 'json'], { cwd: directory });
    const result = JSON.parse(stdout) as { requests: number; flips: number; unknown: { requests: number; inputs: readonly string[] } };
    expect(exitCode).to.equal(79);
    expect([result.requests, result.flips, result.unknown.requests]).to.deep.equal([11, 2, 4]);
    expect(result.unknown.inputs).to.have.members([
      'the token',
      'request.auth.claims[role]',
      'request.headers[x-team]',
      'the request: it was refused before any policy',
    ]);
    expect(stderr).to.include('4 not compared: the access log does not have');
  });

  it('compares the same policies without a flip', async () => {
    const { exitCode, stderr } = await runCommand(['diff', 'a', 'a', '--requests', 'log.jsonl'], { cwd: directory });
    expect(exitCode).to.equal(0);
    expect(stderr).to.match(/^11 requests, 0 flips, 4 not compared/);
  });

  it('rejects a line that is not one of the agent', async () => {
    const stdin = '{"component":"access","decision":"allow"}\n';
    const { exitCode, stderr } = await runCommand(['diff', 'a', 'b', '--requests', '-'], { cwd: directory, stdin });
    expect([exitCode, stderr]).to.deep.equal([
      65,
      'sallyport: -:1: http.request.method: Invalid input: expected string, received undefined\n',
    ]);
  });
});
