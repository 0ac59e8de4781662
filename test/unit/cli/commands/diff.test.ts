import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { type CliResult, Collected, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

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
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
`;
const CORPUS = `{"path": "/a"}
{"url": "http://web.foo/b?c=d", "method": "POST"}

{"path": "/b", "claims": {"iss": "me", "sub": "x", "role": "admin"}}
{"path": "/b", "claims": {"iss": "you"}}
`;

function diff(...args: string[]): Promise<CliResult> {
  const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b'), 'corpus.jsonl': CORPUS };
  return withDirectory(files, (cwd) => runCommand(['diff', ...args], { cwd }));
}

interface Decided {
  readonly verdict: { readonly outcome: string };
  readonly decidedBy: { readonly rule?: { readonly rule: number } };
}

interface Flips {
  readonly requests: number;
  readonly flips: number;
  readonly groups: readonly {
    readonly count: number;
    readonly before: Decided;
    readonly after: Decided;
    readonly examples: readonly { readonly index: number; readonly target: string }[];
  }[];
}

/** 300 requests of which every third flips, and every twelfth in the other direction. */
const MANY = Array.from({ length: 300 }, (_, at) => `{"path": "${at % 12 === 0 ? '/a' : at % 3 === 0 ? '/b' : '/c'}"}\n`).join('');

function diffMany(stderr: Collected, ...args: string[]): Promise<CliResult> {
  const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b'), 'many.jsonl': MANY };
  return withDirectory(files, (cwd) => runCommand(['diff', 'a', 'b', '--requests', 'many.jsonl', ...args], { cwd, stderr }));
}

describe('sallyport diff', () => {
  it('reports which requests flip and by which rule', async () => {
    const { exitCode, stdout, stderr } = await diff('a', 'b', '--requests', 'corpus.jsonl', '-o', 'json');

    const { requests, flips, groups } = JSON.parse(stdout) as Flips;
    expect([exitCode, stderr]).to.deep.equal([79, '4 requests, 2 flips\n']);
    expect([requests, flips]).to.deep.equal([4, 2]);
    expect(
      groups.map(({ count, examples: [one], before, after }) => [
        count,
        one?.index,
        one?.target,
        before.verdict.outcome,
        after.verdict.outcome,
      ]),
    ).to.deep.equal([
      [1, 0, '/a', 'allow', 'deny'],
      [1, 1, '/b?c=d', 'deny', 'allow'],
    ]);
    expect(groups[0]?.before.decidedBy.rule?.rule).to.equal(0);
  });

  it('groups flips by the two rules that decided, largest first, with at most --examples requests each', async () => {
    const { stdout, stderr } = await diffMany(new Collected(), '-o', 'json', '--examples', '3');

    const { groups } = JSON.parse(stdout) as Flips;
    expect(stderr).to.equal('300 requests, 100 flips\n');
    expect(groups.map(({ count, examples }) => [count, examples.map(({ index }) => index)])).to.deep.equal([
      [75, [3, 6, 9]],
      [25, [0, 12, 24]],
    ]);
  });

  it('prints a row per example', async () => {
    const { stdout } = await diffMany(new Collected(), '--examples', '2');

    expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).to.deep.equal([
      ['FLIPS', 'WORKLOAD', 'BEFORE', 'AFTER', 'REASON', 'EXAMPLE'],
      [
        '75',
        'foo/deployment/web',
        'deny 403',
        'allow',
        'none of the 2 ALLOW rules matched -> AuthorizationPolicy foo/allow rules[0]',
        '#3 GET /b',
      ],
      ['#6 GET /b'],
      [
        '25',
        'foo/deployment/web',
        'allow',
        'deny 403',
        'AuthorizationPolicy foo/allow rules[0] -> none of the 2 ALLOW rules matched',
        '#0 GET /a',
      ],
      ['#12 GET /a'],
      [''],
    ]);
  });

  it('shows progress on a terminal', async () => {
    const terminal = Object.assign(new Collected(), { isTTY: true, columns: 80 });
    const args = ['diff', 'a', 'b', '--generate', '2000'];
    const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b') };
    await withDirectory(files, (cwd) => runCommand(args, { cwd, stderr: terminal }));

    const lines = terminal.text.split('\r\u001b[K');
    expect(lines[1]).to.match(/^1000 requests evaluated, \d+ flips$/);
    expect(lines.at(-1)).to.match(/^2000 requests \(seed 1\), \d+ flips\n$/);
  });

  it('lists rules that no request reached, and then never exits with 0', async () => {
    const dead = policy('/straße');
    const files = { 'a/p.yaml': dead, 'b/p.yaml': dead };
    const { exitCode, stdout, stderr } = await withDirectory(files, (cwd) => runCommand(['diff', 'a', 'b', '--generate', '500'], { cwd }));

    expect([exitCode, stderr]).to.deep.equal([
      79,
      '500 requests (seed 1), 0 flips; sampled, and 2 rules not reached: nothing is known about them\n',
    ]);
    expect(stdout.split('\n')[1]).to.match(/^AuthorizationPolicy foo\/allow rules\[0\] +before +foo\/deployment\/web$/);
  });

  it('says that generated requests are a sample when no decision differs', async () => {
    const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/a') };
    const { exitCode, stdout, stderr } = await withDirectory(files, (cwd) =>
      runCommand(['diff', 'a', 'b', '--generate', '500', '-o', 'json'], { cwd }),
    );

    expect(exitCode).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.include({ flips: 0, sampled: true, notReached: [] });
    expect(stderr).to.include('0 flips; sampled: ');
  });

  it('compares directories without workloads by the labels that their policies select', async () => {
    const open = (path: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: shop }
spec: { selector: { matchLabels: { app.kubernetes.io/name: web } }, rules: [{ to: [{ operation: { paths: ["${path}"] } }] }] }
`;
    const files = { 'a/p.yaml': open('/a'), 'b/p.yaml': open('/b') };
    const { exitCode, stderr } = await withDirectory(files, (cwd) => runCommand(['diff', 'a', 'b', '--generate', '50'], { cwd }));

    expect(exitCode).to.equal(79);
    expect(stderr).to.include(
      'no workloads in the input; compared for pods with the labels that the policies select: shop/app.kubernetes.io.name=web',
    );
  });

  const HAR = JSON.stringify({ log: { entries: [{ request: { method: 'GET', url: 'http://web.foo/a', headers: [] } }] } }, null, 2);
  const forms: readonly (readonly [name: string, text: string])[] = [
    ['an archive on many lines', HAR],
    ['an archive on one line', JSON.stringify(JSON.parse(HAR))],
    ['a byte order mark before an archive', `\ufeff${HAR}`],
    ['a byte order mark and CRLF', '\ufeff{"path": "/a"}\r\n\r\n'],
    ['a last line without a line break', '\n{"path": "/a"}'],
  ];
  for (const [name, text] of forms) {
    it(`reads ${name} from a file and from standard input`, async () => {
      const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b'), requests: text };
      for (const file of ['requests', '-']) {
        const { stderr } = await withDirectory(files, (cwd) => runCommand(['diff', 'a', 'b', '--requests', file], { cwd, stdin: text }));

        expect(stderr).to.equal('1 request, 1 flip\n');
      }
    });
  }

  it('reads a JSON List as kubectl prints it', async () => {
    const items = parseAllDocuments(policy('/b')).map((document) => document.toJS() as unknown);
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const files = { 'a/p.yaml': policy('/a'), 'b.json': `\ufeff${list}`, 'corpus.jsonl': CORPUS };
    const { stderr } = await withDirectory(files, (cwd) => runCommand(['diff', 'a', 'b.json', '--requests', 'corpus.jsonl'], { cwd }));

    expect(stderr).to.equal('4 requests, 2 flips\n');
  });

  it('never prints a whole token of a recorded request', async () => {
    const token = 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJtZSJ9.c2lnbmF0dXJl';
    const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b'), 'corpus.jsonl': `{"path": "/a?id_token=${token}"}\n` };
    for (const output of ['table', 'json']) {
      const { stdout } = await withDirectory(files, (cwd) =>
        runCommand(['diff', 'a', 'b', '--requests', 'corpus.jsonl', '-o', output], { cwd }),
      );

      expect(stdout).to.include('/a?id_token=').and.not.to.include('c2lnbmF0dXJl');
    }
  });

  it('finds no flip between a set and itself', async () => {
    const { exitCode, stdout } = await diff('a', 'a', '--generate', '200');

    expect([exitCode, stdout]).to.deep.equal([0, '']);
  });

  it('generates requests that find the flip, the same ones for the same seed', async () => {
    const [one, again, other] = await Promise.all(
      ['7', '7', '8'].map((seed) => diff('a', 'b', '--generate', '100', '--seed', seed, '-o', 'json')),
    );

    expect(one?.exitCode).to.equal(79);
    expect(one?.stdout).to.equal(again?.stdout);
    expect(one?.stdout).to.not.equal(other?.stdout);
  });

  const badCalls: readonly (readonly [name: string, args: readonly string[], exitCode: number, message: string])[] = [
    ['requests in two forms', ['a', 'b', '--requests', 'x', '--generate', '1'], 64, 'give requests in one form'],
    ['a line that is not a request', ['a', 'b', '--requests', 'a/p.yaml'], 65, 'a/p.yaml:1: not JSON'],
    ['--examples 0', ['a', 'b', '--generate', '1', '--examples', '0'], 64, 'Expected a whole number from 1 to'],
    ['a directory that does not exist', ['a', 'c', '--generate', '1'], 65, 'cannot be read'],
    ['an unknown workload', ['a', 'b', '--generate', '1', '--workload', 'foo/none'], 65, 'no workload foo/none'],
  ];
  for (const [name, args, exitCode, message] of badCalls) {
    it(`exits with ${exitCode} for ${name}`, async () => {
      const result = await diff(...args);

      expect([result.exitCode, result.stdout]).to.deep.equal([exitCode, '']);
      expect(result.stderr).to.include(message);
    });
  }
});

interface Proof {
  readonly workloads: readonly {
    readonly workload: string;
    readonly onlyIn?: string;
    readonly verdict: string;
    readonly differences: readonly {
      readonly direction: string;
      readonly request: { readonly path: string };
      readonly claims: readonly object[];
      readonly curl: string;
      readonly test: object;
    }[];
    readonly undecided: readonly { readonly reason: string }[];
  }[];
}

function prove(files: Readonly<Record<string, string>>, ...args: string[]): Promise<CliResult> {
  return withDirectory(files, (cwd) => runCommand(['diff', 'a', 'b', ...args], { cwd }));
}

describe('sallyport diff without requests', () => {
  it('proves that two sets let in the same requests', async () => {
    const rewritten = policy('/a').replace('paths: ["/a"]', 'paths: ["/a", "/a"]');
    const { exitCode, stdout, stderr } = await prove({ 'a/p.yaml': policy('/a'), 'b/p.yaml': rewritten });

    expect([exitCode, stdout, stderr]).to.deep.equal([0, 'foo/deployment/web: same\n', '1 workload: 1 same\n']);
  });

  it('shows a request for each direction, with both decisions and a command', async () => {
    const { exitCode, stdout } = await prove({ 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/b') });

    expect(exitCode).to.equal(79);
    expect(stdout.split('\n')).to.deep.equal([
      'foo/deployment/web: both',
      '  let in now: GET /b',
      '    before: deny 403, none of the 2 ALLOW rules matched',
      '    after:  allow, AuthorizationPolicy foo/allow rules[0]',
      "    curl --path-as-is 'http://HOST/b'",
      '  refused now: GET /a',
      '    before: allow, AuthorizationPolicy foo/allow rules[0]',
      '    after:  deny 403, none of the 2 ALLOW rules matched',
      "    curl --path-as-is 'http://HOST/a'",
      '',
    ]);
  });

  it('fails only for widened policies with --fail-on widened', async () => {
    const [wide, narrow] = [policy('/a*'), policy('/a')];

    expect((await prove({ 'a/p.yaml': wide, 'b/p.yaml': narrow }, '--fail-on', 'widened')).exitCode).to.equal(0);
    expect((await prove({ 'a/p.yaml': wide, 'b/p.yaml': narrow })).exitCode).to.equal(79);
    expect((await prove({ 'a/p.yaml': narrow, 'b/p.yaml': wide }, '--fail-on', 'widened')).exitCode).to.equal(79);
  });

  it('gives a table entry that passes before and fails after', async () => {
    const files = { 'a/p.yaml': policy('/a'), 'b/p.yaml': policy('/a').replace('[admin]', `[admin, "it's"]`) };
    const { stdout } = await prove(files, '-o', 'json');
    const [found] = (JSON.parse(stdout) as Proof).workloads[0]?.differences ?? [];
    const table = JSON.stringify({ workload: 'foo/web', tests: [found?.test] });
    const test = (set: 'a' | 'b'): Promise<CliResult> =>
      withDirectory({ 'p.yaml': files[`${set}/p.yaml`], 't.sallyport-test.yaml': table }, (cwd) => runCommand(['test', '.'], { cwd }));

    expect(found?.claims).to.deep.equal([{ iss: 'me', role: "it's" }]);
    expect(found?.curl).to.equal(`curl --header 'authorization: Bearer '"\${token}" --path-as-is 'http://HOST/'`);
    expect((await test('a')).exitCode).to.equal(0);
    expect((await test('b')).exitCode).to.equal(79);
  });

  it('compares a workload that only one set has under the policies of both', async () => {
    const [before = '', after = ''] = [policy('/a'), policy('/b')].map((text) => text);
    const withoutWorkload = before.slice(0, before.lastIndexOf('---'));
    const { stdout } = await prove({ 'a/p.yaml': withoutWorkload, 'b/p.yaml': after }, '-o', 'json');
    const [web] = (JSON.parse(stdout) as Proof).workloads;

    expect([web?.workload, web?.onlyIn, web?.verdict]).to.deep.equal(['foo/deployment/web', 'after', 'both']);
  });

  it('says loudly what it cannot decide', async () => {
    const split = (paths: string): string =>
      policy(paths).replace('issuer: me,', 'issuer: me, spaceDelimitedClaims: [sub],').replace('claims[role]', 'claims[sub]');
    const { exitCode, stdout, stderr } = await prove({ 'a/p.yaml': split('/a'), 'b/p.yaml': split('/a", "/a') });

    expect([exitCode, stderr.split('\n').at(-2)]).to.deep.equal([80, '1 workload: 1 NOT DECIDED']);
    expect(stdout.split('\n').slice(0, 2)).to.deep.equal([
      'foo/deployment/web: NOT DECIDED',
      '  not decided whether let in now over HTTP: a JWT rule splits the issuer, subject or audience at spaces, which policies read',
    ]);
  });

  it('proves nothing about policies that admission refuses', async () => {
    const invalid = policy('/a').replace('rules:', 'action: PERMIT\n  rules:');
    const { exitCode, stderr } = await prove({ 'a/p.yaml': policy('/a'), 'b/p.yaml': invalid });

    expect(exitCode).to.equal(65);
    expect(stderr).to.match(/b\/p\.yaml:\d+: admission refuses this policy, so nothing is proven/);
  });
});
