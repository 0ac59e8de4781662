import { expect } from 'chai';
import { createTestKey } from '../../../../src/explain/test-key.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withFolder } from '../../../support/temporary-folder.ts';

const ISSUER = 'https://issuer.example';
const NOW = '2026-01-31T12:00:00Z';
const NOW_SECONDS = Date.parse(NOW) / 1000;
const key = createTestKey();

const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec:
  selector: { matchLabels: { app: httpbin } }
  jwtRules: [{ issuer: "${ISSUER}", jwksUri: "${ISSUER}/keys", audiences: [web] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: far, namespace: foo }
spec:
  selector: { matchLabels: { app: httpbin } }
  rules: [{ to: [{ operation: { methods: [DELETE], paths: ["/nowhere"] } }], when: [{ key: "request.headers[x-tenant]", values: [a] }] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: near, namespace: foo }
spec:
  selector: { matchLabels: { app: httpbin } }
  rules:
    - from: [{ source: { requestPrincipals: ["${ISSUER}/*"] } }]
      to: [{ operation: { methods: [GET], paths: ["/headers"] } }]
      when: [{ key: "request.auth.claims[groups]", values: [admin] }]
`;
const WORKLOADS = `apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin, namespace: foo }
spec: { template: { metadata: { labels: { app: httpbin } } } }
`;

interface Answer {
  readonly verdict: { readonly outcome: string; readonly status?: number; readonly principal?: string };
  readonly decidedBy: {
    readonly stage: string;
    readonly text: string;
    readonly rule?: { readonly policy: string; readonly where?: string };
  };
  readonly authentication: readonly { readonly outcome: string; readonly text: string }[];
  readonly rules: readonly {
    readonly rule: { readonly policy: string };
    readonly reached: boolean;
    readonly nearness: number;
    readonly misses: readonly { readonly path: string; readonly hint?: string }[];
  }[];
  readonly caveats: readonly string[];
}

/** The keys that the test key's tokens are verified with, as an issuer would publish them. */
function jwks(): string {
  const program = { providers: [{ keySet: 'one' }] } as unknown as Parameters<typeof key.keySetsFor>[0];
  return JSON.stringify({ keys: key.keySetsFor(program)['one']?.keys });
}

function files(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return { 'policies.yaml': POLICIES, 'workloads.yaml': WORKLOADS, 'keys/jwks.txt': jwks(), ...more };
}

function explain(args: readonly string[], more?: Readonly<Record<string, string>>, stdin = ''): Promise<CliResult> {
  return withFolder(files(more), (cwd) => runCommand(['explain', ...args, '--at', NOW], { cwd, stdin }));
}

async function answer(...args: string[]): Promise<Answer> {
  const { exitCode, stdout, stderr } = await explain(['.', '--jwks', 'keys/jwks.txt', ...args, '-o', 'json']);
  expect([exitCode, stderr]).to.deep.equal([0, '']);
  return JSON.parse(stdout) as Answer;
}

const good = { iss: ISSUER, sub: 'bob', aud: 'web', groups: ['admin'] };

describe('sallyport explain', () => {
  it('names the rule that allowed and where it is written', async () => {
    const { verdict, decidedBy } = await answer('--url', '/headers', '--token', key.sign(good));

    expect(verdict).to.deep.equal({ outcome: 'allow', principal: `${ISSUER}/bob` });
    expect(decidedBy).to.deep.include({ stage: 'authorization', text: 'an ALLOW rule matched' });
    expect(decidedBy.rule).to.deep.include({ policy: 'foo/near', where: 'policies.yaml:21' });
  });

  it('puts the nearest miss first, with the clause that failed', async () => {
    const { verdict, rules } = await answer('--url', '/headers', '--token', key.sign({ ...good, groups: true }));

    expect(verdict).to.deep.include({ outcome: 'deny', status: 403 });
    expect(rules.map(({ rule }) => rule.policy)).to.deep.equal(['foo/near', 'foo/far']);
    expect(rules[0]?.nearness).to.equal(3 / 4);
    expect(rules[0]?.misses).to.have.length(1);
    expect(rules[0]?.misses[0]?.path).to.equal('when[0] request.auth.claims[groups]');
    expect(rules[0]?.misses[0]?.hint).to.include('is a boolean');
  });

  const faults: readonly (readonly [name: string, claims: Parameters<typeof key.sign>[0], status: number, text: string])[] = [
    ['an expired token', { ...good, exp: NOW_SECONDS - 3 * 3600 }, 401, 'token expired 3 h ago (exp 2026-01-31T09:00:00Z)'],
    ['a token of the future', { ...good, nbf: NOW_SECONDS + 600 }, 401, 'token becomes valid in 10 min (nbf 2026-01-31T12:10:00Z)'],
    ['an issuer with a slash', { ...good, iss: `${ISSUER}/` }, 401, `iss ends in /, the policy says ${ISSUER}`],
    ['another issuer', { ...good, iss: 'me' }, 401, `iss is me, the policy says ${ISSUER}`],
    ['no issuer', { sub: 'bob' }, 401, `the token has no iss, the policy says ${ISSUER}`],
    ['another audience', { ...good, aud: ['app', 'cli'] }, 403, 'aud is app, cli, the policy says web'],
  ];
  for (const [name, claims, status, text] of faults) {
    it(`says what is wrong with ${name}`, async () => {
      const { verdict, decidedBy, rules } = await answer('--url', '/headers', '--token', key.sign(claims));

      expect(verdict.status).to.equal(status);
      expect(decidedBy).to.deep.include({ stage: 'authentication', text });
      expect(rules.map(({ reached }) => reached)).to.deep.equal([false, false]);
    });
  }

  it('says what is wrong with the signature', async () => {
    const { authentication } = await answer('--token', createTestKey().sign(good));

    expect(authentication[0]?.text).to.equal('no key from keys/jwks.txt made this signature (alg ES256, kid sallyport-test)');
  });

  it('says that a scheme in another case is no token', async () => {
    const { authentication } = await answer('-H', 'authorization: bearer abc');

    expect(authentication[0]?.outcome).to.equal('no token');
    expect(authentication[0]?.text).to.include('authorization begins with "bearer ", and case counts');
  });

  it('warns that a refusal for want of keys says nothing about the token', async () => {
    const { stdout } = await explain(['.', '--token', key.sign(good), '-o', 'json']);

    const { verdict, caveats, authentication } = JSON.parse(stdout) as Answer;
    expect(verdict.status).to.equal(401);
    expect(authentication[0]?.text).to.include('no keys of https://issuer.example are known here');
    expect(caveats).to.have.length(1);
    expect(caveats[0]).to.include('may accept the token');
  });

  it('gives the same answer for flags, raw text and an HTTP archive', async () => {
    const token = key.sign(good);
    const har = {
      log: {
        entries: [{ request: { method: 'GET', url: 'http://h/headers', headers: [{ name: 'Authorization', value: `Bearer ${token}` }] } }],
      },
    };
    const more = {
      'in/raw.http': `GET /headers HTTP/1.1\nHost: h\nAuthorization: Bearer ${token}\n\nbody`,
      'in/a.har': JSON.stringify(har),
    };
    const common = ['policies.yaml', 'workloads.yaml', '--jwks', 'keys/jwks.txt', '-o', 'json'];

    const answers = await Promise.all([
      explain([...common, '--url', 'http://h/headers', '--token', token], more),
      explain([...common, '--request', 'in/raw.http'], more),
      explain([...common, '--har', 'in/a.har'], more),
      explain([...common, '--request', '-'], more, more['in/raw.http']),
    ]);

    expect(new Set(answers.map(({ stdout }) => stdout)).size).to.equal(1);
    expect(answers[0]?.stdout).to.include('"outcome": "allow"');
  });

  it('explains under a published bundle', async () => {
    const { stdout: bundle } = await withFolder(files(), (cwd) =>
      runCommand(['compile', '.', '--workload', 'foo/httpbin', '-o', 'json'], { cwd }),
    );
    const { stdout, exitCode } = await explain(['--bundle', 'b.txt', '--url', '/x'], { 'b.txt': bundle });

    expect(exitCode).to.equal(0);
    expect(stdout).to.include('deny 403  GET /x for foo/httpbin');
  });

  it('takes a workload by labels alone', async () => {
    const { verdict } = await answer('--workload', 'foo/other', '--labels', 'app=nothing');

    expect(verdict.outcome).to.equal('allow');
  });

  it('shows what the codec refuses', async () => {
    const { verdict, decidedBy } = await answer('-X', 'GE T');

    expect(verdict).to.deep.include({ outcome: 'reject', status: 400 });
    expect(decidedBy.stage).to.equal('codec');
  });

  const badCalls: readonly (readonly [name: string, args: readonly string[], exitCode: number, told: string])[] = [
    ['no policies', [], 64, 'give policies once'],
    ['an unknown workload', ['.', '--workload', 'foo/none'], 65, 'no workload foo/none; known: foo/httpbin'],
    ['two requests', ['.', '--url', '/', '--request', 'x'], 64, 'give the request once'],
    ['a file that is not there', ['.', '--request', 'x'], 65, 'x: ENOENT'],
    ['what is neither token nor file', ['.', '--token', '@none'], 65, 'neither a file nor a token'],
    ['a folder that is not there', ['none'], 65, 'cannot be read'],
    ['a bundle that is none', ['--bundle', 'workloads.yaml'], 65, 'SP_BUNDLE'],
    ['a HAR that is none', ['.', '--har', 'keys/jwks.txt'], 65, 'no HAR'],
    ['a header without colon', ['.', '-H', 'x'], 64, 'Name: value'],
    ['keys that are none', ['.', '--jwks', 'workloads.yaml'], 65, 'no usable key'],
  ];
  for (const [name, args, exitCode, told] of badCalls) {
    it(`ends with ${exitCode} for ${name}`, async () => {
      const result = await explain(args);

      expect([result.exitCode, result.stdout]).to.deep.equal([exitCode, '']);
      expect(result.stderr).to.include(told);
    });
  }
});
