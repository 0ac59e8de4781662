import { expect } from 'chai';
import { createTestKey } from '../../../../src/explain/test-key.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

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

interface Explained {
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

/** The public key of the test key, as an issuer would publish it. */
function jwks(): string {
  const program = { providers: [{ keySet: 'one' }] } as unknown as Parameters<typeof key.keySetsFor>[0];
  return JSON.stringify({ keys: key.keySetsFor(program)['one']?.keys });
}

function files(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return { 'policies.yaml': POLICIES, 'workloads.yaml': WORKLOADS, 'keys/jwks.txt': jwks(), ...more };
}

function explain(args: readonly string[], more?: Readonly<Record<string, string>>, stdin = ''): Promise<CliResult> {
  return withDirectory(files(more), (cwd) => runCommand(['explain', ...args, '--at', NOW], { cwd, stdin }));
}

async function explainJson(...args: string[]): Promise<Explained> {
  const { exitCode, stdout, stderr } = await explain(['.', '--jwks', 'keys/jwks.txt', ...args, '-o', 'json']);
  expect([exitCode, stderr]).to.deep.equal([0, '']);
  return JSON.parse(stdout) as Explained;
}

const good = { iss: ISSUER, sub: 'bob', aud: 'web', groups: ['admin'] };

describe('sallyport explain: rules and policies', () => {
  it('reports the rule that allowed the request and where it is written', async () => {
    const { verdict, decidedBy } = await explainJson('--url', '/headers', '--token', key.sign(good));

    expect(verdict).to.deep.equal({ outcome: 'allow', principal: `${ISSUER}/bob` });
    expect(decidedBy).to.deep.include({ stage: 'authorization', text: 'an ALLOW rule matched' });
    expect(decidedBy.rule).to.deep.include({ policy: 'foo/near', where: 'policies.yaml:21' });
  });

  it('lists the nearest miss first, with the clause that failed', async () => {
    const { verdict, rules } = await explainJson('--url', '/headers', '--token', key.sign({ ...good, groups: true }));

    expect(verdict).to.deep.include({ outcome: 'deny', status: 403 });
    expect(rules.map(({ rule }) => rule.policy)).to.deep.equal(['foo/near', 'foo/far']);
    expect(rules[0]?.nearness).to.equal(3 / 4);
    expect(rules[0]?.misses).to.have.length(1);
    expect(rules[0]?.misses[0]?.path).to.equal('when[0] request.auth.claims[groups]');
    expect(rules[0]?.misses[0]?.hint).to.include('is a boolean');
  });

  it('lists policies that do not apply, with the reason', async () => {
    const other = (name: string, namespace: string, spec: string): string =>
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`;
    const more = {
      'a.yaml': other('elsewhere', 'bar', '{ rules: [{}] }'),
      'b.yaml': other('label', 'foo', '{ selector: { matchLabels: { version: v1 } }, rules: [{}] }'),
      'c.yaml': other('value', 'foo', '{ selector: { matchLabels: { app: sleep } }, rules: [{}] }'),
      'd.yaml': other('gateway', 'foo', '{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }], rules: [{}] }'),
      'e.yaml': other('bad', 'foo', '{ action: NONE, rules: [{}] }'),
    };
    const { stdout } = await explain(['.', '-o', 'json'], more);

    const { notApplied } = JSON.parse(stdout) as { readonly notApplied: readonly { readonly policy: string; readonly reason: string }[] };
    expect(notApplied.map(({ policy, reason }) => `${policy.replace('AuthorizationPolicy ', '')}: ${reason}`)).to.deep.equal([
      'foo/bad: it is invalid, see its findings',
      'foo/label: its selector requires version=v1; the pod has no label version',
      'foo/value: its selector requires app=sleep; the pod has app=httpbin',
      'foo/gateway: targetRefs names Gateway gw, and the pod is not one of its pods',
      'bar/elsewhere: it is in namespace bar; pods of foo get policies of foo and of the root namespace istio-system',
    ]);
  });

  it('prints everything that the nearest rule lacks in one line', async () => {
    const { stdout } = await explain(['.', '--url', '/headers/', '-X', 'GET']);

    expect(stdout.split('\n')[2]).to.equal(
      'nearest: AuthorizationPolicy foo/near rules[0] (policies.yaml:21): to[0].operation.paths: differs only in a trailing slash from /headers; and the request has no verified token',
    );
  });

  it('lists ALLOW rules first when none of them matched, even if a DENY rule is nearer', async () => {
    const deny = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: foo }
spec: { action: DENY, rules: [{ to: [{ operation: { methods: [GET], hosts: ["*"], paths: ["/Other"] } }] }] }
`;
    const { stdout } = await explain(['.', '--url', '/other', '-o', 'json'], { 'deny.yaml': deny });

    const { rules } = JSON.parse(stdout) as Explained;
    expect(rules.map(({ rule }) => rule.policy)).to.deep.equal(['foo/near', 'foo/far', 'foo/deny']);
  });

  it('evaluates the port of the pod behind the Service port in the URL', async () => {
    const service = `apiVersion: v1
kind: Service
metadata: { name: httpbin, namespace: foo }
spec: { selector: { app: httpbin }, ports: [{ port: 8000, targetPort: 8080 }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: port, namespace: foo }
spec: { rules: [{ to: [{ operation: { ports: ["8080"] } }] }] }
`;
    const { stdout } = await explain(['.', 'http://httpbin.foo:8000/x', '-o', 'json'], { 'service.yaml': service });

    const { verdict, caveats } = JSON.parse(stdout) as Explained;
    expect(verdict.outcome).to.equal('allow');
    expect(caveats).to.deep.equal(['port 8000 of Service httpbin maps to port 8080 of the pod, which is the one that policies see']);
  });

  it('reports what dry-run policies would do', async () => {
    const dry = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: dry, namespace: foo, annotations: { istio.io/dry-run: "true" } }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: ["/x"] } }] }] }
`;
    const { stdout } = await explain(['.', '--url', '/x', '--workload', 'foo/other', '--labels', 'a=b'], { 'dry.yaml': dry });

    expect(stdout).to.include('allow  GET /x');
    expect(stdout).to.include('dry-run DENY policies would deny it: AuthorizationPolicy foo/dry rules[0] (dry.yaml:4)');
  });
});

describe('sallyport explain: tokens', () => {
  const faults: readonly (readonly [name: string, claims: Parameters<typeof key.sign>[0], status: number, text: string])[] = [
    ['an expired token', { ...good, exp: NOW_SECONDS - 3 * 3600 }, 401, 'token expired 3 h ago (exp 2026-01-31T09:00:00Z)'],
    ['a token that is not yet valid', { ...good, nbf: NOW_SECONDS + 600 }, 401, 'token becomes valid in 10 min (nbf 2026-01-31T12:10:00Z)'],
    ['an issuer with a trailing slash', { ...good, iss: `${ISSUER}/` }, 401, `iss ends with /, the policy requires ${ISSUER}`],
    ['another issuer', { ...good, iss: 'me' }, 401, `iss is me, the policy requires ${ISSUER}`],
    ['no issuer', { sub: 'bob' }, 401, `the token has no iss, the policy requires ${ISSUER}`],
    ['another audience', { ...good, aud: ['app', 'cli'] }, 403, 'aud is app, cli, the policy requires web'],
  ];
  for (const [name, claims, status, text] of faults) {
    it(`reports what is wrong with ${name}`, async () => {
      const { verdict, decidedBy, rules } = await explainJson('--url', '/headers', '--token', key.sign(claims));

      expect(verdict.status).to.equal(status);
      expect(decidedBy).to.deep.include({ stage: 'authentication', text });
      expect(rules.map(({ reached }) => reached)).to.deep.equal([false, false]);
    });
  }

  it('reports that no key verifies the signature', async () => {
    const { authentication } = await explainJson('--token', createTestKey().sign(good));

    expect(authentication[0]?.text).to.equal('no key from keys/jwks.txt verifies this signature (alg ES256, kid sallyport-test)');
  });

  it('reports a scheme in another case as no token', async () => {
    const { authentication } = await explainJson('-H', 'authorization: bearer abc');

    expect(authentication[0]?.outcome).to.equal('no token');
    expect(authentication[0]?.text).to.include('authorization starts with "bearer ", but the prefix is case-sensitive');
  });

  it('says that the verdict is unknown, and what to give, when a token is refused because its keys are missing', async () => {
    const { stdout } = await explain(['.', '--token', key.sign(good), '-o', 'json']);
    const table = await explain(['.', '--token', key.sign(good)]);

    const { verdict, caveats, authentication } = JSON.parse(stdout) as Explained;
    const hint = 'give --jwks: the keys of https://issuer.example are unknown here, so the token cannot be verified';
    expect(verdict).to.deep.equal({ outcome: 'unknown', hint });
    expect(table.stdout.split('\n')[0]).to.equal(`unknown: ${hint}`);
    expect(authentication[0]?.text).to.include('the keys of https://issuer.example are unknown here');
    expect(caveats).to.have.length(1);
    expect(caveats[0]).to.include('may accept the token');
  });

  it('still refuses an expired token without keys', async () => {
    const { stdout } = await explain(['.', '--token', key.sign({ ...good, exp: NOW_SECONDS - 3600 }), '-o', 'json']);

    expect((JSON.parse(stdout) as Explained).verdict).to.deep.include({ outcome: 'unauthenticated', status: 401 });
  });

  it('takes claims instead of a token', async () => {
    const allowed = await explainJson('--url', '/headers', '--claims', JSON.stringify(good));
    const denied = await explainJson('--url', '/headers', '--claims', '{"aud": "web", "sub": "bob", "groups": ["ops"]}');
    const refused = await explainJson('--url', '/headers', '--claims', '{"iss": "https://issuer.example", "sub": "bob"}');

    expect(allowed.verdict).to.deep.equal({ outcome: 'allow', principal: `${ISSUER}/bob` });
    expect([denied.verdict.outcome, denied.rules[0]?.misses.map(({ path }) => path)]).to.deep.equal([
      'deny',
      ['when[0] request.auth.claims[groups]'],
    ]);
    expect(denied.caveats).to.include(`--claims has no iss; ${ISSUER} is assumed`);
    expect(refused.verdict.status).to.equal(403);
  });

  for (const [args, message] of [
    [['--claims', '{'], '--claims: invalid JSON'],
    [['--claims', '[]'], '--claims: expected a JSON object'],
    [['--claims', '{}', '--token', 'a.b.c'], 'give the token in one form'],
    [['--claims', '@missing.json'], 'missing.json: no such file'],
  ] as const) {
    it(`rejects ${args.join(' ')}`, async () => {
      const { exitCode, stderr } = await explain(['.', ...args]);

      expect([exitCode > 0, stderr.includes(message)]).to.deep.equal([true, true]);
    });
  }

  it('takes a method in --request, as curl and its clients write it, and notes flags without effect', async () => {
    const { verdict, caveats } = await explainJson(
      '--location',
      '--request',
      'DELETE',
      'http://httpbin.foo/nowhere',
      '-H',
      'x-tenant: a',
      '--compressed',
    );

    expect(verdict.outcome).to.equal('allow');
    expect(caveats).to.deep.equal(['flags of curl that do not change the decision: --location']);
  });

  it("notes curl's -o instead of taking it for a format", async () => {
    const { exitCode, stdout } = await explain(['.', '--url', '/headers', '-s', '-o', '/dev/null']);

    expect(exitCode).to.equal(0);
    expect(stdout).to.include('note: flags of curl that do not change the decision: --silent, --output /dev/null');
  });

  const secrets: readonly (readonly [place: string, args: (token: string) => readonly string[]])[] = [
    ['the query', (token) => ['--url', `/x?access_token=${token}&token=opaquetokenopaque`]],
    ['a header that rules read', (token) => ['-H', `x-tenant: ${token}`]],
    ['Authorization with another scheme', (token) => ['-H', `Authorization: Token ${token}`]],
    ['a cookie', (token) => ['-b', `session=opaquetokenopaque; t=${token}`]],
    ['credentials', () => ['-u', 'bob:opaquetokenopaque']],
  ];
  for (const [place, args] of secrets) {
    for (const format of ['table', 'json', 'yaml']) {
      it(`never prints a token in ${place} as ${format}`, async () => {
        const token = key.sign(good);
        const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: headers, namespace: foo }
spec:
  rules:
    - when: [{ key: "request.headers[x-tenant]", values: [a] }]
    - when: [{ key: "request.headers[authorization]", values: [a] }]
    - when: [{ key: "request.headers[cookie]", values: [a] }]
`;
        const { stdout, stderr } = await explain(['.', ...args(token), '-o', format], { 'headers.yaml': policy });

        expect(stdout + stderr).to.include('GET /');
        const [, payload = '', signature = ''] = token.split('.');
        const hidden = [payload, signature, 'opaquetokenopaque', Buffer.from('bob:opaquetokenopaque').toString('base64')];
        for (const secret of hidden) expect(stdout + stderr).not.to.include(secret);
      });
    }
  }

  const malformed: readonly (readonly [name: string, value: string, note: string])[] = [
    ['the word undefined', 'undefined', 'it is the word undefined: the client had no token'],
    ['a placeholder', '$TOKEN', 'it looks like an unreplaced placeholder'],
    ['a scheme twice', 'Bearer a.b.c', 'it starts with a second Bearer'],
    ['quotes', '"a.b.c"', 'it contains "\\"", which is not allowed in a token'],
    ['an encrypted token', 'a.b.c.d.e', 'it has 5 parts, so it is encrypted (JWE); only signed tokens are accepted'],
    ['an opaque token', 'abc', 'it has 1 part; an opaque access token is not a JWT'],
    ['no algorithm', `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.e30`, 'alg is none'],
    ['two tokens', `${key.sign(good)},Bearer ${key.sign(good)}`, 'it consists of two tokens: was the header sent twice?'],
  ];
  for (const [name, value, note] of malformed) {
    it(`reports what a malformed token is: ${name}`, async () => {
      const { decidedBy } = await explainJson('-H', `Authorization: Bearer ${value}`);

      expect(decidedBy.text).to.match(/^the token is malformed: Jwt .* \(/);
      expect(decidedBy.text).to.include(`(${note})`);
    });
  }

  const strays: readonly (readonly [place: string, args: (token: string) => readonly string[], note: string])[] = [
    [
      'another header',
      (token) => ['-H', `x-token: ${token}`],
      'there is one in header x-token, where the rule does not look (fromHeaders)',
    ],
    ['a cookie', (token) => ['-b', `a=b; sess=${token}`], 'there is one in cookie sess, where the rule does not look (fromCookies)'],
    ['the query', (token) => ['--url', `/?jwt=${token}`], 'there is one in query parameter jwt, where the rule does not look (fromParams)'],
    ['its header, alone', (token) => ['-H', `Authorization: ${token}`], 'authorization has a token without "Bearer " before it'],
  ];
  for (const [place, args, note] of strays) {
    it(`reports a token that no rule reads in ${place}`, async () => {
      const { authentication } = await explainJson(...args(key.sign(good)));

      expect(authentication[0]?.outcome).to.equal('no token');
      expect(authentication[0]?.text).to.include(note);
    });
  }
});

describe('sallyport explain: forms of input', () => {
  it('prints the same explanation for flags, raw HTTP and an HTTP archive', async () => {
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

    const results = await Promise.all([
      explain([...common, '--url', 'http://h/headers', '--token', token], more),
      explain([...common, '--request', 'in/raw.http'], more),
      explain([...common, '--har', 'in/a.har'], more),
      explain([...common, '--request', '-'], more, more['in/raw.http']),
    ]);

    expect(new Set(results.map(({ stdout }) => stdout)).size).to.equal(1);
    expect(results[0]?.stdout).to.include('"outcome": "allow"');
  });

  it('evaluates the request under a published bundle', async () => {
    const { stdout: bundle } = await withDirectory(files(), (cwd) =>
      runCommand(['compile', '.', '--workload', 'foo/httpbin', '-o', 'json'], { cwd }),
    );
    const { stdout, exitCode } = await explain(['--bundle', 'b.txt', '--url', '/x'], { 'b.txt': bundle });

    expect(exitCode).to.equal(0);
    expect(stdout).to.include('deny 403  GET /x for foo/deployment/httpbin');
  });

  it('accepts a workload without a manifest when labels are given', async () => {
    const { verdict } = await explainJson('--workload', 'foo/other', '--labels', 'app=nothing');

    expect(verdict.outcome).to.equal('allow');
  });

  it('reports how to give a bundle that is among the paths', async () => {
    const bundle =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: sallyport-bundle-web, namespace: foo, labels: { sallyport.dev/bundle: x } }\n';
    const { exitCode, stderr } = await explain(['b.yaml'], { 'b.yaml': bundle });

    expect([exitCode, stderr]).to.deep.equal([64, 'sallyport: b.yaml is a bundle: give it with --bundle\n']);
  });

  it('fails when standard input is read twice', async () => {
    const { exitCode, stderr } = await explain(['-', '--request', '-'], {}, WORKLOADS);

    expect(exitCode).to.equal(65);
    expect(stderr).to.include('standard input was already read');
  });

  const badCalls: readonly (readonly [name: string, args: readonly string[], exitCode: number, message: string])[] = [
    ['no policies', [], 64, 'give policies in one form'],
    ['an unknown workload', ['.', '--workload', 'foo/none'], 65, 'no workload foo/none; known: foo/deployment/httpbin'],
    ['two requests', ['.', '--url', '/', '--request', 'x'], 64, 'give the request in one form'],
    ['a file that does not exist', ['.', '--request', 'x'], 65, 'x: no such file'],
    ['a value that is neither a token nor a file', ['.', '--token', '@none'], 65, 'neither a file nor a token'],
    ['a directory that does not exist', ['none'], 65, 'none: no such file'],
    ['a file that is not a bundle', ['--bundle', 'workloads.yaml'], 65, 'SP_BUNDLE'],
    ['a file that is not a HAR file', ['.', '--har', 'keys/jwks.txt'], 65, 'not a HAR file'],
    ['a header without a colon', ['.', '-H', 'x'], 64, 'Name: value'],
    ['an invalid address', ['.', '--source-ip', '10.0.0'], 64, 'Expected an IP address'],
    ['an invalid identity', ['.', '--peer', 'sleep'], 64, 'spiffe://'],
    ['a flag of curl that would change the protocol', ['.', '--http2'], 64, '--http2: requests are evaluated as HTTP/1.1'],
    ['two URLs', ['.', 'http://a/', 'http://b/'], 64, 'only one URL can be evaluated at a time'],
    ['a file without keys', ['.', '--jwks', 'workloads.yaml'], 65, 'no usable key'],
  ];
  for (const [name, args, exitCode, message] of badCalls) {
    it(`exits with ${exitCode} for ${name}`, async () => {
      const result = await explain(args);

      expect([result.exitCode, result.stdout]).to.deep.equal([exitCode, '']);
      expect(result.stderr).to.include(message);
    });
  }
});

describe('sallyport explain: requests that the codec rejects', () => {
  it('reports a request that the codec rejects', async () => {
    const { verdict, decidedBy } = await explainJson('-X', 'GE T');

    expect(verdict).to.deep.include({ outcome: 'reject', status: 400 });
    expect(decidedBy.stage).to.equal('codec');
  });

  it('rejects a header with a line break instead of splitting it', async () => {
    const { verdict } = await explainJson('-H', 'a: b\r\nAuthorization: Bearer x');

    expect(verdict).to.deep.include({ outcome: 'reject', status: 400 });
  });

  const codecFaults: readonly (readonly [name: string, text: string, hint: string, status?: number])[] = [
    ['an old version', 'GET /x HTTP/1.0\nHost: h\n', 'the request line has HTTP/1.0: write HTTP/1.1', 426],
    ['another version', 'GET /x HTTP/2\nHost: h\n', 'the request line has HTTP/2: write HTTP/1.1'],
    ['no version', 'GET /x\nHost: h\n', 'the request line has no version: write GET /x HTTP/1.1', 426],
    ['nothing', '\n', 'the request is empty'],
    ['a target that is not encoded', 'GET /ü HTTP/1.1\nHost: h\n', 'the target has characters that must be percent-encoded'],
    ['a line that is not a header', 'GET /x HTTP/1.1\nHost: h\nno header\n', 'line 3 is not a header: expected Name: value'],
    ['an unknown method', 'FETCH /x HTTP/1.1\nHost: h\n', 'agents do not support the method FETCH'],
  ];
  for (const [name, text, hint, status = 400] of codecFaults) {
    it(`reports why the codec rejects ${name}`, async () => {
      const { stdout } = await explain(['.', '--request', '-', '-o', 'json'], {}, text);

      const { verdict, decidedBy } = JSON.parse(stdout) as Explained;
      expect(verdict).to.deep.include({ outcome: 'reject', status });
      expect(decidedBy.text).to.equal(`agents reject this request as invalid HTTP/1.1: ${hint}`);
    });
  }
});
