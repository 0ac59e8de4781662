import { expect } from 'chai';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { Parser } from 'tap-parser';
import { parse } from 'yaml';
import { printable } from '../../../../src/cli/terminal/printable.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: me, jwksUri: "https://issuer.example/keys", fromHeaders: [{ name: x-jwt }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: allow, namespace: foo }
spec:
  rules:
    - { from: [{ source: { requestPrincipals: ["me/*"] } }] }
    - { from: [{ source: { ipBlocks: [10.0.0.0/8] } }] }
`;
const GOOD_TABLE = `workload: { namespace: foo, name: web, labels: {} }
now: 2026-01-31T12:00:00Z
tests:
  - name: a <token> in its header
    request: { headers: { X-JWT: "\${token}" } }
    token: { claims: { iss: me, sub: a }, expiresInSeconds: 60 }
    expect: { verdict: allow, policy: foo/allow, rule: 0, principal: me/a }
  - name: no token
    expect: deny
`;
const BAD_TABLE = `${GOOD_TABLE}  - { name: "wrong # 1", expect: { verdict: allow, status: 200 } }\n`;

function test(table: string, ...args: string[]): Promise<CliResult> {
  return withDirectory({ 'p/policies.yaml': POLICIES, 'p/one.sallyport-test.yaml': table }, (cwd) =>
    runCommand(['test', 'p', ...args], { cwd }),
  );
}

describe('sallyport test: results', () => {
  it('passes when every verdict is as expected, and lists rules that no request reached', async () => {
    const { exitCode, stdout, stderr } = await test(GOOD_TABLE);

    expect(exitCode, stdout).to.equal(0);
    expect(stdout).to.include('pass  no token');
    expect(stdout).to.match(/RULES NOT REACHED BY ANY TEST\nAuthorizationPolicy foo\/allow rules\[1\]\n/);
    expect(stderr).to.equal('2 tests, 0 failed; 2 of 3 rules covered (66 %)\n');
  });

  it('exits with 79 and reports the actual decision when a test fails', async () => {
    const { exitCode, stdout } = await test(BAD_TABLE);

    expect(exitCode).to.equal(79);
    expect(stdout).to.include(
      'FAIL  wrong # 1\n        verdict is deny, expected allow (authorization: none of the 2 ALLOW rules matched)\n',
    );
    expect(stdout).to.include('status is 403, expected 200');
  });

  for (const [percent, exitCode] of [
    ['66', 0],
    ['67', 79],
  ] as const) {
    it(`exits with ${exitCode} when --min-coverage is ${percent}`, async () => {
      expect((await test(GOOD_TABLE, '--min-coverage', percent)).exitCode).to.equal(exitCode);
    });
  }

  const CLAIMS = POLICIES.replace('fromHeaders:', 'outputClaimToHeaders: [{ header: x-sub, claim: sub }], fromHeaders:');

  it('compares the request that the application gets, and the reply', async () => {
    const table = `workload: { namespace: foo, name: web, labels: {} }
tests:
  - name: claims become headers
    request: { path: /a?b=c, headers: { X-JWT: "\${token}", x-sub: forged } }
    token: { claims: { iss: me, sub: a }, expiresInSeconds: 60 }
    expect: { upstream: { method: GET, path: /a?b=c, headers: { X-Sub: a, x-jwt: null } } }
  - name: the reply has a body
    expect: { body: "RBAC: access denied", headers: { content-type: text/plain, x-none: null } }
`;
    const { exitCode, stdout } = await withDirectory({ 'p/policies.yaml': CLAIMS, 'p/one.sallyport-test.yaml': table }, (cwd) =>
      runCommand(['test', 'p'], { cwd }),
    );

    expect(exitCode, stdout).to.equal(0);
  });

  it('reports differences in messages without secrets', async () => {
    const table = `workload: { namespace: foo, name: web, labels: {} }
tests:
  - name: kept
    request: { sourceIp: 10.0.0.1, headers: { authorization: Basic c2VjcmV0LXNlY3JldA==, a: b } }
    expect: { body: x, upstream: { path: /other, headers: { authorization: null, a: [b, c] } } }
  - { name: none, expect: { upstream: {} } }
`;
    const { exitCode, stdout } = await test(table);

    expect(exitCode).to.equal(79);
    expect(stdout).to.include('there is no agent reply to compare: the application replies');
    expect(stdout).to.include('upstream.path is /, expected /other');
    expect(stdout).to.include('upstream.headers[authorization] is "Basic …", expected absent');
    expect(stdout).to.include('upstream.headers[a] is "b", expected "b" and "c"');
    expect(stdout).to.include('the application gets no request\n        nearest: AuthorizationPolicy foo/allow rules[');
    expect(stdout).not.to.include('c2VjcmV0');
  });

  it('uses the time of a test rather than that of its table', async () => {
    const { exitCode, stdout } = await test(
      `${GOOD_TABLE}  - name: long ago
    now: 2020-01-01T00:00:00Z
    request: { headers: { X-JWT: "\${token}" } }
    token: { claims: { iss: me, sub: a, exp: 1600000000 } }
    expect: allow
`,
    );

    expect(exitCode, stdout).to.equal(0);
  });

  it('runs only the tests that match --filter', async () => {
    expect((await test(BAD_TABLE, '--filter', 'no token')).stderr).to.include('1 test, 0 failed');
    expect((await test(BAD_TABLE, '--filter', 'one.sally')).stderr).to.include('3 tests, 1 failed');
    const none = await test(BAD_TABLE, '--filter', 'zzz');
    expect([none.exitCode, none.stderr]).to.deep.equal([65, 'sallyport: no test matches the filter "zzz"\n']);
  });

  it('passes for the example of the JWT task', async () => {
    const cwd = new URL('../../../../', import.meta.url).pathname;
    const { exitCode, stdout } = await runCommand(['test', 'examples/jwt-task', '--min-coverage', '100'], { cwd });

    expect(exitCode, stdout).to.equal(0);
  });
});

describe('sallyport test: output formats', () => {
  it('writes JUnit with names escaped', async () => {
    const { stdout } = await test(BAD_TABLE, '-o', 'junit');

    expect(stdout).to.include('<testsuite name="p/one.sallyport-test.yaml" tests="3" failures="1" errors="0">');
    expect(stdout).to.include('<testcase name="a &lt;token&gt; in its header"');
    expect(stdout).to.include('<failure message="verdict is deny, expected allow');
  });

  it('writes TAP with names escaped', async () => {
    const { stdout } = await test(BAD_TABLE, '-o', 'tap');

    expect(stdout.split('\n').slice(0, 2)).to.deep.equal(['TAP version 14', '1..3']);
    expect(stdout).to.include('not ok 3 - p/one.sallyport-test.yaml: wrong \\# 1\n  ---\n  - "verdict is deny');
  });

  const NAMES = [
    'a "quote" & <tag>',
    ']]> and <![CDATA[',
    'x # SKIP',
    'y # TODO later',
    'back\\slash \\# end',
    'two\nlines\tand a tab',
    'bell \u0007 \u001b[31m',
    'ok 7 - z',
  ];
  const hostileTable = `workload: { namespace: foo, name: web, labels: {} }\ntests:\n${NAMES.map((name, index) => `  - ${JSON.stringify({ name, expect: index % 2 === 0 ? 'deny' : 'allow' })}\n`).join('')}`;
  const withoutControl = (name: string): string => name.replaceAll('\u0007', '?').replaceAll('\u001b', '?');

  it('writes JUnit that an XML parser reads for any test name', async () => {
    const { stdout } = await test(hostileTable, '-o', 'junit');

    expect(XMLValidator.validate(stdout)).to.equal(true);
    const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '', htmlEntities: true });
    const { testsuite } = parser.parse(stdout).testsuites;
    expect(testsuite).to.include({ tests: '8', failures: '4', errors: '0' });
    expect(testsuite.testcase.map(({ name }: { readonly name: string }) => name)).to.deep.equal(NAMES.map(withoutControl));
    expect(testsuite.testcase.map(({ failure }: { readonly failure?: unknown }) => failure !== undefined)).to.deep.equal(
      NAMES.map((_, index) => index % 2 === 1),
    );
  });

  it('writes TAP that a TAP parser reads for any test name', async () => {
    const { stdout } = await test(hostileTable, '-o', 'tap');

    const events = Parser.parse(stdout);
    const results = events.flatMap(([type, result]) => (type === 'assert' ? [result] : []));
    expect(results.map(({ name }) => name)).to.deep.equal(
      NAMES.map((name) => `p/one.sallyport-test.yaml: ${printable(name.replaceAll(/\s+/g, ' '))}`),
    );
    expect(results.map(({ ok, skip, todo, diag }) => [ok, skip, todo, Array.isArray(diag)])).to.deep.equal(
      NAMES.map((_, index) => [index % 2 === 0, false, false, index % 2 === 1]),
    );
    expect(events.find(([type]) => type === 'complete')?.[1]).to.include({ count: 8, pass: 4, fail: 4, bailout: false });
    expect(events.filter(([type]) => type === 'extra')).to.deep.equal([]);
  });

  it('writes the same value in YAML as in JSON', async () => {
    const [json, yaml] = [await test(BAD_TABLE, '-o', 'json'), await test(BAD_TABLE, '-o', 'yaml')];

    expect(parse(yaml.stdout)).to.deep.equal(JSON.parse(json.stdout));
  });

  it('writes JSON with verdicts and coverage', async () => {
    const { stdout } = await test(GOOD_TABLE, '-o', 'json');

    const { suites, coverage } = JSON.parse(stdout) as {
      readonly suites: readonly { readonly tests: readonly { readonly verdict: { readonly outcome: string } }[] }[];
      readonly coverage: { readonly covered: number };
    };
    expect(suites[0]?.tests.map(({ verdict }) => verdict.outcome)).to.deep.equal(['allow', 'deny']);
    expect(coverage.covered).to.equal(2);
  });
});

describe('sallyport test: tables', () => {
  const badTables: readonly (readonly [name: string, table: string, message: string])[] = [
    ['invalid YAML', 'tests: [', 'one.sallyport-test.yaml:'],
    ['an unknown member', GOOD_TABLE.replace('now:', 'noww:'), 'Unrecognized key'],
    ['an invalid expectation', `${GOOD_TABLE}  - { name: x, expect: alow }\n`, 'one.sallyport-test.yaml:10: tests.2.expect'],
    ['no tests', 'workload: foo/web\ntests: []\n', 'tests'],
    ['no workload', 'tests: [{ name: a, expect: allow }]\n', 'neither the test nor the table names a workload'],
    ['a workload without a manifest', 'workload: foo/web\ntests: [{ name: a, expect: allow }]\n', 'no workload foo/web'],
  ];
  for (const [name, table, message] of badTables) {
    it(`exits with 65 for a table with ${name}`, async () => {
      const { exitCode, stderr } = await test(table);

      expect(exitCode).to.equal(65);
      expect(stderr).to.include(message);
    });
  }

  it('exits with 65 when there is no table', async () => {
    const { exitCode, stderr } = await withDirectory({ 'p/policies.yaml': POLICIES }, (cwd) => runCommand(['test', 'p'], { cwd }));

    expect(exitCode).to.equal(65);
    expect(stderr).to.include('no *.sallyport-test.yaml in p');
  });

  it('leaves tables out of the manifests that check reads', async () => {
    const { exitCode, stderr } = await withDirectory({ 'p/policies.yaml': POLICIES, 'p/one.sallyport-test.yaml': GOOD_TABLE }, (cwd) =>
      runCommand(['check', 'p'], { cwd }),
    );

    expect(exitCode, stderr).to.equal(0);
    expect(stderr).to.include('1 file, policies: 2');
  });
});
