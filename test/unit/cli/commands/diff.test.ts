import { expect } from 'chai';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withFolder } from '../../../support/temporary-folder.ts';

const WORKLOAD = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
`;
const policy = (paths: string): string => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: me, jwksUri: "https://issuer.example/keys" }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: allow, namespace: foo }
spec:
  rules:
    - { to: [{ operation: { paths: ["${paths}"] } }] }
    - { when: [{ key: "request.auth.claims[role]", values: [admin] }] }
---
${WORKLOAD}`;
const CORPUS = `{"path": "/a"}
{"url": "http://web.foo/b?c=d", "method": "POST"}

{"path": "/b", "claims": {"iss": "me", "sub": "x", "role": "admin"}}
{"path": "/b", "claims": {"iss": "you"}}
`;

function diff(...args: string[]): Promise<CliResult> {
  const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b'), 'corpus.jsonl': CORPUS };
  return withFolder(files, (cwd) => runCommand(['diff', ...args], { cwd }));
}

interface Flips {
  readonly requests: number;
  readonly pairs: readonly { readonly count: number; readonly first: { readonly index: number } }[];
  readonly flips: readonly {
    readonly index: number;
    readonly target: string;
    readonly before: { readonly verdict: { readonly outcome: string }; readonly decidedBy: { readonly rule?: { readonly rule: number } } };
    readonly after: { readonly verdict: { readonly outcome: string } };
  }[];
}

describe('sallyport diff', () => {
  it('tells which requests flip and by which rule', async () => {
    const { exitCode, stdout, stderr } = await diff('a', 'b', '--requests', 'corpus.jsonl', '-o', 'json');

    const { requests, flips } = JSON.parse(stdout) as Flips;
    expect([exitCode, stderr]).to.deep.equal([79, '4 requests, 2 flips\n']);
    expect(requests).to.equal(4);
    expect(flips.map(({ index, target, before, after }) => [index, target, before.verdict.outcome, after.verdict.outcome])).to.deep.equal([
      [0, '/a', 'allow', 'deny'],
      [1, '/b?c=d', 'deny', 'allow'],
    ]);
    expect(flips[0]?.before.decidedBy.rule?.rule).to.equal(0);
  });

  it('shows a row for each pair of what decided, with its first request, the commonest first', async () => {
    const { stdout } = await diff('a', 'b', '--requests', 'corpus.jsonl');

    expect(stdout.split('\n')[2]).to.match(
      /^1 +foo\/web +POST \/b\?c=d \(1\) +deny 403 +allow +none of the 2 ALLOW rules matched -> AuthorizationPolicy/,
    );
    const many = Array.from({ length: 3_000 }, (_, index) => `{"path": "${index % 3 === 0 ? '/a' : '/b'}", "method": "POST"}`);
    const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b'), 'corpus.jsonl': many.join('\n') };
    const call = (...args: string[]): Promise<CliResult> =>
      withFolder(files, (cwd) => runCommand(['diff', 'a', 'b', '--requests', 'corpus.jsonl', ...args], { cwd }));
    const rows = (await call()).stdout.trimEnd().split('\n').slice(1);
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 3))).to.deep.equal([
      ['2000', 'foo/web', 'POST /b (1)'],
      ['1000', 'foo/web', 'POST /a (0)'],
    ]);
    const { pairs, flips } = JSON.parse((await call('-o', 'json')).stdout) as Flips;
    expect(pairs.map(({ count, first }) => [count, first.index])).to.deep.equal([
      [2000, 1],
      [1000, 0],
    ]);
    expect(flips).to.have.length(3_000);
  });

  it('never repeats a token of a recorded request in full', async () => {
    const token = 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJtZSJ9.c2lnbmF0dXJl';
    const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b'), 'corpus.jsonl': `{"path": "/a?id_token=${token}"}\n` };
    for (const output of ['table', 'json']) {
      const { stdout } = await withFolder(files, (cwd) =>
        runCommand(['diff', 'a', 'b', '--requests', 'corpus.jsonl', '-o', output], { cwd }),
      );

      expect(stdout).to.include('/a?id_token=').and.not.to.include('c2lnbmF0dXJl');
    }
  });

  it('finds no flip between a set and itself', async () => {
    const { exitCode, stdout } = await diff('a', 'a', '--generate', '200');

    expect([exitCode, stdout]).to.deep.equal([0, '']);
  });

  it('makes up requests that find the flip, the same ones for the same seed', async () => {
    const [one, again, other] = await Promise.all(
      ['7', '7', '8'].map((seed) => diff('a', 'b', '--generate', '100', '--seed', seed, '-o', 'json')),
    );

    expect(one?.exitCode).to.equal(79);
    expect(one?.stdout).to.equal(again?.stdout);
    expect(one?.stdout).to.not.equal(other?.stdout);
  });

  it('makes up requests that every rule matches, and some that none does', async () => {
    const rule = (i: number): string =>
      `    - from: [{ source: { requestPrincipals: ["me/u${i}"] } }]
      to: [{ operation: { methods: [PUT], paths: ["/svc${i}/*"], hosts: ["h${i}"] } }]
      when: [{ key: "request.auth.claims[group]", values: [g${i}] }]\n`;
    const jwt = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: me }] }\n---\n`;
    const many = `${jwt}apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: many, namespace: foo }
spec:
  rules:\n${Array.from({ length: 40 }, (_, i) => rule(i)).join('')}---\n${WORKLOAD}`;
    const other = many.replaceAll('values: [g', 'values: [x');
    const { stdout } = await withFolder({ 'a/p.yaml': many, 'b/p.yaml': other }, (cwd) =>
      runCommand(['diff', 'a', 'b', '--generate', '2000', '-o', 'json'], { cwd }),
    );
    const { requests, flips } = JSON.parse(stdout) as Flips;

    expect(new Set(flips.flatMap(({ before }) => before.decidedBy.rule?.rule ?? []))).to.have.property('size', 40);
    expect(flips.length).to.be.lessThan(requests / 2);
  });

  const badCalls: readonly (readonly [name: string, args: readonly string[], exitCode: number, told: string])[] = [
    ['no requests', ['a', 'b'], 64, 'give requests once'],
    ['a line that is no request', ['a', 'b', '--requests', 'a/p.yaml'], 65, 'a/p.yaml:1: not JSON'],
    ['a folder that is not there', ['a', 'c', '--generate', '1'], 65, 'cannot be read'],
    ['a workload that is not there', ['a', 'b', '--generate', '1', '--workload', 'foo/none'], 65, 'no workload foo/none'],
  ];
  for (const [name, args, exitCode, told] of badCalls) {
    it(`ends with ${exitCode} for ${name}`, async () => {
      const result = await diff(...args);

      expect([result.exitCode, result.stdout]).to.deep.equal([exitCode, '']);
      expect(result.stderr).to.include(told);
    });
  }
});
