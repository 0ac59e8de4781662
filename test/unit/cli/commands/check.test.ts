import { expect } from 'chai';
import { type CliResult, Collected, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const RULES = 'rules: [{ to: [{ operation: { methods: [GET] } }] }]';
const GOOD = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: good, namespace: foo }
spec:
  selector: { matchLabels: { app: httpbin } }
  ${RULES}
`;
const BAD = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: bad, namespace: foo }
spec:
  action: PERHAPS
  rules:
    - from:
        - source:
            ipBlocks: ["10.0.0.0/99"]
`;
const HTTPBIN = `apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin, namespace: foo }
spec:
  template:
    metadata: { labels: { app: httpbin } }
`;

/** A policy with a warning: its extension provider is not configured. */
const CUSTOM = GOOD.replace(RULES, 'action: CUSTOM\n  provider: { name: opa }\n  rules: [{}]');

function check(files: Readonly<Record<string, string>>, ...args: string[]): Promise<CliResult> {
  return withDirectory(files, (cwd) => runCommand(['check', ...args], { cwd }));
}

describe('sallyport check', () => {
  it('prints nothing to stdout and exits with 0 when there are no findings', async () => {
    const { exitCode, stdout, stderr } = await check({ 'a.yaml': `${GOOD}---\n${HTTPBIN}` }, 'a.yaml');

    expect([exitCode, stdout, stderr]).to.deep.equal([0, '', '1 file, policies: 1, 0 errors, 0 warnings\n']);
  });

  it('warns about likely mistakes in valid policies', async () => {
    const { stdout } = await check({ 'a.yaml': `${GOOD.replace('[GET]', '[get]')}---\n${HTTPBIN}` }, '-o', 'json', 'a.yaml');

    expect(JSON.parse(stdout).findings).to.have.lengthOf(1);
    expect(JSON.parse(stdout).findings[0]).to.include({ code: 'SP_NEVER_MATCHES', severity: 'warning' });
  });

  const portsOf = async (
    policy: string,
    ...others: readonly string[]
  ): Promise<readonly { readonly path: string; readonly hint?: string }[]> => {
    const { stdout } = await check({ 'a.yaml': [policy, ...others].join('---\n') }, '-o', 'json', 'a.yaml');
    return JSON.parse(stdout).findings.filter(({ code }: { readonly code: string }) => code === 'SP_NEVER_MATCHES');
  };
  const byPort = (port: string): string => GOOD.replace(RULES, `rules: [{ to: [{ operation: { ports: ["${port}"] } }] }]`);
  const serving = (ports: string): string => `${HTTPBIN}    spec: { containers: [{ name: app, image: x, ports: ${ports} }] }\n`;
  const service = (targetPort: string): string =>
    `apiVersion: v1\nkind: Service\nmetadata: { name: httpbin, namespace: foo }\n` +
    `spec: { selector: { app: httpbin }, ports: [{ port: 80, targetPort: ${targetPort} }] }\n`;

  it('warns about a policy that names the port of the Service, and names the port of the container', async () => {
    for (const target of ['8080', 'web']) {
      const found = await portsOf(byPort('80'), serving('[{ name: web, containerPort: 8080 }]'), service(target));
      expect(found.map(({ hint }) => hint)).to.deep.equal(['Service httpbin leads from port 80 to 8080: write "8080"']);
    }
  });

  it('does not warn about the port of the container, of an annotation, or of a pod that declares none', async () => {
    expect(await portsOf(byPort('8080'), serving('[{ containerPort: 8080 }]'), service('8080'))).to.deep.equal([]);
    expect(await portsOf(byPort('80'), serving('[]'), service('8080'))).to.deep.equal([]);
    const included = HTTPBIN.replace('labels:', 'annotations: { sallyport.dev/include-inbound-ports: "80" }, labels:');
    expect(await portsOf(byPort('80'), included)).to.deep.equal([]);
  });

  it('warns about encrypted ports, and not about ports that no container declares', async () => {
    const messagesOf = async (...parts: readonly string[]): Promise<readonly string[]> => {
      const { stdout } = await check({ 'a.yaml': parts.join('---\n') }, '-o', 'json', 'a.yaml');
      return JSON.parse(stdout).findings.map(({ message }: { readonly message: string }) => message);
    };
    expect(await messagesOf(serving('[]'), service('3000'))).to.deep.equal([]);
    expect(await messagesOf(serving('[{ name: grpc-web, containerPort: 1 }]'))).to.deep.equal([]);
    expect((await messagesOf(serving('[{ name: https, containerPort: 1 }]'))).join()).to.match(/indicates https/);
  });

  it('reports an info finding, which never fails the command', async () => {
    const policy = GOOD.replace(RULES, 'rules: [{ when: [{ key: "request.auth.claims[admin]", values: ["true"] }] }]');
    const jwt = 'apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: { name: j, namespace: foo }\n';
    const spec = 'spec: { selector: { matchLabels: { app: httpbin } }, jwtRules: [{ issuer: i, jwksUri: "https://i.example/k" }] }\n';
    const files = { 'a.yaml': `${policy}---\n${HTTPBIN}---\n${jwt}${spec}` };
    const { exitCode, stdout, stderr } = await check(files, '--fail-on', 'warning', 'a.yaml');
    const sarif = await check(files, '-o', 'sarif', 'a.yaml');

    expect([exitCode, stderr]).to.deep.equal([0, '1 file, policies: 2, 0 errors, 0 warnings, 1 info\n']);
    expect(stdout).to.match(/^a\.yaml:6:\d+ +info +SP_NEVER_MATCHES/m);
    expect(JSON.parse(sarif.stdout).runs[0].results[0].level).to.equal('note');
  });

  it('reports a target kind without pods once', async () => {
    const policy = GOOD.replace('selector: { matchLabels: { app: httpbin } }', 'targetRefs: [{ kind: Service, name: httpbin }]');
    const { stdout } = await check({ 'a.yaml': `${policy}---\n${HTTPBIN}` }, '-o', 'json', 'a.yaml');

    expect(JSON.parse(stdout).findings.map(({ code, path }: Record<string, string>) => [code, path])).to.deep.equal([
      ['SP_SELECTS_NOTHING', 'spec.targetRefs[0].kind'],
    ]);
  });

  it('warns about fields that need a peer identity unless the configuration trusts a proxy to provide it', async () => {
    const policy = GOOD.replace(RULES, 'rules: [{ from: [{ source: { principals: [a/ns/b/sa/c] } }] }]');
    const files = { 'a.yaml': `${policy}---\n${HTTPBIN}`, 'config/c.yaml': 'mesh:\n  trustedProxies: [10.0.0.0/8]\n' };
    const without = await check(files, '-o', 'json', 'a.yaml');
    const trusting = await check(files, '-o', 'json', '--config', 'config/c.yaml', 'a.yaml');

    expect(JSON.parse(without.stdout).findings.map(({ code }: { readonly code: string }) => code)).to.deep.equal([
      'SP_NEEDS_PEER_IDENTITY',
    ]);
    expect(JSON.parse(trusting.stdout).findings).to.deep.equal([]);
  });

  it('reports file, line, column, object, field and reason of an error and exits with 79', async () => {
    const { exitCode, stdout } = await check({ 'p/bad.yaml': BAD }, '-o', 'json', 'p');

    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Record<string, unknown>[] };
    expect(exitCode).to.equal(79);
    expect(findings[0]).to.deep.include({
      file: 'p/bad.yaml',
      line: 5,
      column: 3,
      severity: 'error',
      code: 'SP_SCHEMA',
      object: 'AuthorizationPolicy foo/bad',
      path: 'spec.action',
    });
    expect(findings[0]?.['message']).to.include('is not one of ALLOW, DENY, AUDIT, CUSTOM');
  });

  it('prints the same findings as a table by default', async () => {
    const { stdout, stderr } = await check({ 'bad.yaml': BAD }, 'bad.yaml');

    const [header, row] = stdout.split('\n');
    expect(header?.split(/ {2,}/)).to.deep.equal(['WHERE', 'SEVERITY', 'CODE', 'OBJECT', 'FIELD', 'REASON']);
    expect(row?.split(/ {2,}/).slice(0, 5)).to.deep.equal([
      'bad.yaml:5:3',
      'error',
      'SP_SCHEMA',
      'AuthorizationPolicy foo/bad',
      'spec.action',
    ]);
    expect(stderr).to.match(/^1 file, policies: 1, \d+ errors?, 0 warnings\n$/);
  });

  it('reads standard input for -', async () => {
    const { exitCode, stdout } = await runCommand(['check', '-o', 'yaml', '-'], { stdin: BAD });

    expect(exitCode).to.equal(79);
    expect(stdout).to.include('file: <stdin>\n');
  });

  it('compiles a policy that selects no workload', async () => {
    const { stdout } = await check({ 'a.yaml': CUSTOM }, '-o', 'json', '.');

    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Record<string, unknown>[] };
    expect(findings.some((finding) => finding['code'] === 'SP_PROVIDER')).to.equal(true);
  });

  it('reads extension providers from the configuration', async () => {
    const config = 'mesh:\n  extensionProviders:\n    - name: opa\n      envoyExtAuthzHttp: { service: opa.foo.svc, port: 80 }\n';
    const { stdout } = await check({ 'a.yaml': CUSTOM, 'sallyport.conf': config }, '-o', 'json', '--config', 'sallyport.conf', 'a.yaml');

    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Record<string, unknown>[] };
    expect(findings.filter((finding) => finding['severity'] === 'error')).to.deep.equal([]);
  });

  const warned: readonly (readonly [name: string, files: Readonly<Record<string, string>>, code: string, place: string])[] = [
    [
      'a policy that selects none of the workloads next to it',
      { 'a.yaml': `${GOOD.replace('app: httpbin', 'app: other')}---\n${HTTPBIN}` },
      'SP_SELECTS_NOTHING',
      'a.yaml:5:3',
    ],
    ['a kind that is not enforced', { 'a.yaml': GOOD.replace('AuthorizationPolicy', 'PeerAuthentication') }, 'SP_MANIFEST', 'a.yaml:2:1'],
  ];
  for (const [name, files, code, place] of warned) {
    it(`warns about ${name}, and fails only with --fail-on warning`, async () => {
      const lenient = await check(files, '.');
      const strict = await check(files, '--fail-on', 'warning', '.');

      expect([lenient.exitCode, strict.exitCode]).to.deep.equal([0, 79]);
      expect(lenient.stdout).to.include(`${place}  warning   ${code}`);
    });
  }

  it('does not report keys behind a URL, because it fetches none', async () => {
    const policy = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: ra, namespace: foo }
spec: { jwtRules: [{ issuer: x, jwksUri: https://example.com/keys }] }
`;

    expect((await check({ 'a.yaml': policy }, 'a.yaml')).stdout)
      .to.include('SP_TOKEN_OPTIONAL')
      .and.not.to.include('SP_JWKS');
  });

  const unreadable: readonly (readonly [name: string, files: Readonly<Record<string, string>>, path: string, message: string])[] = [
    ['a file that does not exist', {}, 'nope.yaml', 'nope.yaml:1:1'],
    ['a file that is not YAML', { 'a.yaml': 'a: [1\n' }, 'a.yaml', 'a.yaml:'],
    ['a file without an object', { 'a.yaml': 'just text\n' }, 'a.yaml', 'a.yaml:1:1'],
  ];
  for (const [name, files, path, message] of unreadable) {
    it(`exits with 65 for ${name} and still checks the other files`, async () => {
      const { exitCode, stdout } = await check({ ...files, 'z.yaml': BAD }, path, 'z.yaml');

      expect(exitCode).to.equal(65);
      expect(stdout).to.include(message).and.to.include('SP_MANIFEST').and.to.include('z.yaml:5:3');
    });
  }

  it('reports a duplicate object', async () => {
    const { exitCode, stdout } = await check({ 'a.yaml': GOOD, 'b.yaml': GOOD }, '.');

    expect(exitCode).to.equal(79);
    expect(stdout).to.include('AuthorizationPolicy foo/good is already defined in a.yaml:1');
  });

  it('exits with 65 for an invalid configuration and names file and key', async () => {
    const { exitCode, stderr } = await check({ 'a.yaml': GOOD, c: 'mesh: { rootNamespac: x }\n' }, '--config', 'c', 'a.yaml');

    expect(exitCode).to.equal(65);
    expect(stderr).to.match(/^sallyport: c: mesh: .*rootNamespac/);
  });

  it('shows progress on a terminal and clears it at the end', async () => {
    const terminal = Object.assign(new Collected(), { isTTY: true, columns: 40 });
    await withDirectory({ 'a.yaml': GOOD }, (cwd) => runCommand(['check', 'a.yaml'], { cwd, stderr: terminal }));

    expect(terminal.text).to.include('0 files read, now a.yaml');
    expect(terminal.text).to.include('\r\u001b[K1 file, policies');
  });
});

describe('sallyport check: what would widen a policy', () => {
  const policy = (text: string): Promise<CliResult> =>
    check(
      { 'p.yaml': `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: shop }\n${text}` },
      'p.yaml',
    );

  it('exits with 79 for a misspelt field, names the likely one, and says what the rule means without it', async () => {
    const { exitCode, stdout } = await policy('spec: { rules: [{ to: [{ operation: { methods: [GET], path: ["/public/*"] } }] }] }\n');

    expect(exitCode).to.equal(79);
    expect(stdout).to.include('without it the rule allows GET of every path from everyone (did you mean paths?');
  });

  it('fails for a misspelt kind, and still reports the other documents of the file', async () => {
    const { exitCode, stdout } = await policy(
      'spec: { action: ALOW }\n---\napiVersion: security.istio.io/v1\nkind: AuthorisationPolicy\nmetadata: { name: q, namespace: shop }\n',
    );

    expect(exitCode).to.equal(65);
    expect(stdout).to.include('did you mean AuthorizationPolicy?').and.to.include('"ALOW" is not one of');
  });

  it('leaves out suppressed findings, counts them, and then exits with 0', async () => {
    const files = {
      'p.yaml':
        'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: shop }\nspec: { rules: [{ to: [{ operation: { methods: [GET], path: ["/a"] } }] }] }\n',
    };
    const { exitCode, stdout, stderr } = await check(files, 'p.yaml', '--suppress', 'SP_SCHEMA=AuthorizationPolicy/shop/*');

    expect([exitCode, stdout, stderr]).to.deep.equal([0, '', '1 file, policies: 1, 0 errors, 0 warnings, 1 suppressed\n']);
  });

  const patch = '- { op: replace, path: /spec/action, value: DENY }\n';
  for (const [what, files, shown] of [
    ['only files of Kustomize', { 'p/kustomization.yaml': 'resources: [../base]\n' }, 'kustomize build p | sallyport check -'],
    ['the file Kustomization', { 'p/Kustomization': 'resources: []\n', 'p/b/a.yaml': GOOD }, 'kustomize build p | sallyport check -'],
    ['patches', { 'p/kustomization.yml': 'patches: []\n', 'p/patch.yaml': patch }, 'kustomize build p | sallyport check -'],
    [
      'several overlays',
      { 'p/base/a.yaml': GOOD, 'p/one/kustomization.yaml': 'a: 1\n', 'p/two/kustomization.yaml': 'a: 1\n' },
      'this directory (and 1 more) from other files: render it first (kustomize build p/one | sallyport check -)',
    ],
    ['policies with a kustomization', { 'p/kustomization.yaml': 'resources: [a.yaml]\n', 'p/a.yaml': GOOD }, undefined],
    ['policies alone', { 'p/a.yaml': GOOD }, undefined],
  ] as const) {
    it(`says in one line how to render a directory of Kustomize: ${what}`, async () => {
      await withDirectory(files, async (cwd) => {
        const { stdout } = await runCommand(['check', 'p'], { cwd });
        const lines = stdout.split('\n').filter((line) => line.includes('kustomize build'));

        expect(lines).to.have.length(shown === undefined ? 0 : 1);
        if (shown !== undefined)
          expect(lines[0])
            .to.match(/ info /)
            .and.to.include(shown);
      });
    });
  }

  it('warns of objects of security groups that Istio removed', async () => {
    const old = 'apiVersion: rbac.istio.io/v1alpha1\nkind: ServiceRole\nmetadata: { name: a, namespace: foo }\n';
    await withDirectory({ 'a.yaml': old }, async (cwd) => {
      expect((await runCommand(['check', '.'], { cwd })).stdout).to.include('ServiceRole is not enforced');
    });
  });

  it('passes over a kustomization.yaml next to the policies', async () => {
    const files = {
      'p/kustomization.yaml': 'namespace: shop\nresources: [p.yaml]\n',
      'p/p.yaml':
        'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: shop }\nspec: { rules: [{}] }\n',
    };

    expect((await check(files, 'p')).exitCode).to.equal(0);
  });
});

describe('sallyport check --no-new-access', () => {
  const base = { 'base/a.yaml': `${GOOD}---\n${HTTPBIN}` };
  const changed = (policies: string): Promise<CliResult> =>
    check({ ...base, 'p/a.yaml': `${policies}---\n${HTTPBIN}` }, '-o', 'json', '--no-new-access', 'base', 'p');

  it('finds nothing where no more is let in', async () => {
    const narrowed = await changed(GOOD.replace('[GET]', "[GET], notPaths: ['/a']"));

    expect(JSON.parse(narrowed.stdout).findings).to.deep.equal([]);
    expect(narrowed.exitCode).to.equal(0);
  });

  it('reports a request that is let in at the rule that lets it in', async () => {
    const widened = await changed(GOOD.replace('[GET]', '[GET, PUT]'));

    expect(JSON.parse(widened.stdout).findings).to.deep.equal([
      {
        file: 'p/a.yaml',
        line: 6,
        column: 1,
        severity: 'error',
        code: 'SP_NEW_ACCESS',
        object: 'AuthorizationPolicy foo/good',
        path: 'spec.rules[0]',
        message: 'lets in to foo/deployment/httpbin: PUT /; before: deny 403, the only ALLOW rule did not match',
      },
    ]);
    expect(widened.exitCode).to.equal(79);
  });

  it('reports a request that no rule lets in at the start of the files', async () => {
    const { stdout } = await changed(GOOD.replace('app: httpbin', 'app: other'));
    const [finding] = JSON.parse(stdout).findings.filter(({ code }: { readonly code: string }) => code === 'SP_NEW_ACCESS');

    expect(finding).to.include({ file: 'p/a.yaml', line: 1, object: '' });
  });

  it('proves nothing about policies that admission refuses', async () => {
    const { stdout, stderr, exitCode } = await changed(BAD);

    expect(stdout).not.to.include('SP_NEW_ACCESS');
    expect(stderr).to.include('nothing is proven about them');
    expect(exitCode).to.equal(79);
  });

  it('refuses a base that cannot be read', async () => {
    const { exitCode, stderr } = await check({ 'p/a.yaml': GOOD }, '--no-new-access', 'missing', 'p');

    expect(exitCode).to.equal(65);
    expect(stderr).to.include('missing');
  });
});

describe('sallyport check --deep', () => {
  const rules = (...own: readonly string[]): string =>
    `${GOOD.replace(RULES, `rules:\n${own.map((rule) => `    - ${rule}\n`).join('')}`)}---\n${HTTPBIN}`;
  const deep = async (text: string): Promise<readonly string[]> => {
    const { stdout, stderr, exitCode } = await check({ 'a.yaml': text }, '-o', 'json', '--deep', 'a.yaml');
    expect(exitCode, stderr).to.equal(0);
    return (JSON.parse(stdout).findings as readonly { readonly path: string; readonly message: string }[])
      .filter(({ message }) => message.startsWith('proven: '))
      .map(({ path, message }) => `${path}: ${message}`);
  };
  const on = (operation: string): string => `{ to: [{ operation: { ${operation} } }] }`;

  it('reports a rule that two others cover together', async () => {
    expect(
      await deep(rules(on("paths: ['/a'], methods: [GET]"), on("paths: ['/a'], notMethods: [GET]"), on("paths: ['/a']"))),
    ).to.deep.equal(['spec.rules[2]: proven: without this rule every request is decided alike, by other rules']);
  });

  it('reports a rule that no request matches', async () => {
    expect(await deep(rules("{ from: [{ source: { requestPrincipals: ['*'] } }] }", on("paths: ['/b']")))).to.deep.equal([
      'spec.rules[0]: proven: no request matches this rule',
    ]);
  });

  it('reports a rule that another one covers for all workloads that there are', async () => {
    const wide = GOOD.replace('name: good', 'name: wide').replace('app: httpbin', 'tier: b');
    const both = rules(on("paths: ['/a'], methods: [GET]")).replace('labels: { app: httpbin }', 'labels: { app: httpbin, tier: b }');

    expect(await deep(`${both}---\n${wide}`)).to.deep.equal([
      'spec.rules[0]: proven: this rule has no effect: AuthorizationPolicy foo/wide rules[0] matches every request that it matches',
    ]);
  });

  it('leaves to check without it what concerns the rules of one policy', async () => {
    const narrow = "{ from: [{ source: { ipBlocks: ['10.1.0.0/16'] } }], to: [{ operation: { hosts: ['a.b'], notPorts: ['81'] } }] }";
    const wide = "{ from: [{ source: { notIpBlocks: ['10.2.0.0/16'] } }], to: [{ operation: { hosts: ['A*'] } }] }";
    const { stdout } = await check({ 'a.yaml': rules(narrow, wide, on("paths: ['/a*'], notPaths: ['/*']")) }, '-o', 'json', 'a.yaml');

    expect(
      JSON.parse(stdout).findings.map(({ code, path }: { readonly code: string; readonly path: string }) => `${code} ${path}`),
    ).to.include.members(['SP_UNREACHABLE_RULE spec.rules[0]', 'SP_NEVER_MATCHES spec.rules[2]']);
  });

  it('reports no rule twice, and none that has an effect for one of two workloads', async () => {
    const other = `${HTTPBIN.replace('name: httpbin,', 'name: other,').replace('app: httpbin', 'app: httpbin, tier: b')}`;
    const deny = GOOD.replace('name: good', 'name: deny').replace('app: httpbin', 'tier: b').replace(RULES, 'action: DENY\n  rules: [{}]');

    expect(await deep(rules(on("paths: ['/a']")))).to.deep.equal([]);
    expect(await deep(`${rules(on("paths: ['/a']"))}---\n${other}---\n${deny}`)).to.deep.equal([]);
    expect(await deep(rules(on("paths: ['/a*']"), on("paths: ['/ab']")))).to.deep.equal([]);
  });
});
