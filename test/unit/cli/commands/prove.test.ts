import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { XMLParser } from 'fast-xml-parser';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const EXAMPLE = new URL('../../../../examples/invariants/', import.meta.url).pathname;
const read = (file: string): string => readFileSync(`${EXAMPLE}${file}`, 'utf8');

/** The example with one edit of its policies. */
function proveExample(edit: (policies: string) => string, ...args: string[]): Promise<CliResult> {
  const files = {
    'policies/policies.yaml': edit(read('policies/policies.yaml')),
    'policies/workloads.yaml': read('policies/workloads.yaml'),
    'invariants.yaml': read('invariants.yaml'),
    'config.yaml': read('config.yaml'),
  };
  return withDirectory(files, (cwd) =>
    runCommand(['prove', 'policies', '--invariants', 'invariants.yaml', '--config', 'config.yaml', ...args], { cwd }),
  );
}

interface Answer {
  readonly name: string;
  readonly workload: string;
  readonly answer: string;
  readonly counterexample?: { readonly request: object; readonly where?: string; readonly explanation?: object; readonly curl?: string };
}

function answersOf({ stdout }: CliResult): readonly Answer[] {
  return (JSON.parse(stdout) as { readonly invariants: readonly Answer[] }).invariants;
}

function violatedIn(result: CliResult): readonly string[] {
  return [...new Set(answersOf(result).flatMap(({ name, answer }) => (answer === 'violated' ? [name] : [])))];
}

const WORKLOADS = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
`;

const policy = (spec: string): string => `${WORKLOADS}---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: foo }
spec: ${spec}
`;

function prove(policies: string, invariants: string, ...args: string[]): Promise<CliResult> {
  const files = { 'p/all.yaml': policies, 'invariants.yaml': invariants };
  return withDirectory(files, (cwd) => runCommand(['prove', 'p', '--invariants', 'invariants.yaml', ...args], { cwd }));
}

const one = (text: string): string => `invariants:\n  - name: one\n    workloads: { namespaces: [foo] }\n    ${text}\n`;

describe('sallyport prove', () => {
  it('proves every invariant of the example', async () => {
    const result = await proveExample((policies) => policies, '-o', 'json');

    expect(violatedIn(result), result.stderr).to.deep.equal([]);
    expect(result.exitCode).to.equal(0);
    expect(new Set(answersOf(result).map(({ name }) => name)).size).to.equal(10);
  });

  const edits: Readonly<Record<string, readonly [from: string, to: string, violated: readonly string[]]>> = {
    'drops the group': [
      "      when: [{ key: 'request.auth.claims[groups]', values: [admins] }]\n",
      '',
      ['admin paths need the group admins'],
    ],
    'opens every method': ['methods: [GET], paths: [/,', 'paths: [/,', ['no anonymous writes']],
    'opens the API': ["paths: [/, '/static/*']", "paths: ['/*'], notPaths: ['/admin*']", ['the API requires a token of our issuer']],
    'closes health': ['paths: [/healthz]', 'paths: [/health]', ['health paths stay open']],
    'lets a tenant in': ['namespaces: [tenant-a, ingress]', "namespaces: ['tenant-*', ingress]", ['other tenants cannot reach tenant-a']],
    'lets everybody in': [
      'from: [{ source: { namespaces: [tenant-b, ingress] } }]',
      "from: [{ source: { principals: ['*'] } }]",
      ['other tenants cannot reach tenant-b'],
    ],
    'opens metrics': ['notNamespaces: [monitoring]', "notNamespaces: ['*']", ['metrics are for the monitoring alone']],
    'opens internal paths': ["paths: ['/internal/*']", "paths: ['/internal/x/*']", ['the ingress never reaches internal paths']],
    'lets the whole namespace charge': [
      'cluster.local/ns/shop/sa/checkout',
      'cluster.local/ns/shop/*',
      ['only the checkout charges cards'],
    ],
    'opens half of another network': ['10.20.0.0/16', '10.20.0.0/15', ['the database accepts the shop network alone']],
  };
  for (const [name, [from, to, violated]] of Object.entries(edits)) {
    it(`shows a request when a change ${name}`, async () => {
      expect(read('policies/policies.yaml')).to.include(from);
      const result = await proveExample((policies) => policies.replace(from, to), '-o', 'json');

      expect(violatedIn(result), result.stderr).to.include.members(violated);
      expect(result.exitCode).to.equal(79);
    });
  }

  it('names the rule that lets a request in, with its line', async () => {
    const result = await proveExample((policies) => policies.replace('methods: [GET], paths: [/,', 'paths: [/,'), '-o', 'json');
    const [violated] = answersOf(result).filter(({ answer }) => answer === 'violated');

    expect(violated?.counterexample).to.deep.include({ request: { method: 'POST', path: '/', headers: [] } });
    expect(violated?.counterexample?.where).to.match(/^policies\/policies\.yaml:\d+$/);
    expect(violated?.counterexample?.explanation).to.include.keys('verdict', 'decidedBy', 'rules');
    expect(violated?.counterexample?.curl).to.equal("curl --request POST --path-as-is 'http://HOST/'");
  });

  it('writes JUnit with a failure for each request, and SARIF at the line of the policy', async () => {
    const edit = (policies: string): string => policies.replace('methods: [GET], paths: [/,', 'paths: [/,');
    const junit = await proveExample(edit, '-o', 'junit');
    const sarif = await proveExample(edit, '-o', 'sarif');
    const { testsuites } = new XMLParser({ ignoreAttributes: false }).parse(junit.stdout) as {
      readonly testsuites: { readonly testsuite: Readonly<Record<string, unknown>> };
    };
    const { runs } = JSON.parse(sarif.stdout) as { readonly runs: readonly { readonly results: readonly object[] }[] };
    const line =
      edit(read('policies/policies.yaml'))
        .split('\n')
        .findIndex((text) => text.includes('paths: [/,')) + 1;

    expect(testsuites.testsuite).to.include({ '@_name': 'invariants.yaml', '@_failures': '1', '@_errors': '0' });
    expect(JSON.stringify(runs[0]?.results)).to.include(`"startLine":${line}`).and.include('policies/policies.yaml');
    expect(runs[0]?.results).to.have.lengthOf(1);
  });

  it('decides connections without HTTP', async () => {
    const open = await prove(WORKLOADS, one('onlyFrom: { from: [{ source: { ipBlocks: [10.0.0.0/8] } }] }'));
    const closed = await prove(
      policy('{ rules: [{ from: [{ source: { ipBlocks: [10.1.0.0/16] } }] }] }'),
      one('onlyFrom: { from: [{ source: { ipBlocks: [10.0.0.0/8] } }, { source: { principals: [a] } }] }'),
    );

    expect(open.exitCode).to.equal(79);
    expect(closed).to.include({ exitCode: 0, stdout: 'proven: one, foo/deployment/web\n' });
  });

  it('counts a required token as a refusal of what must be let in', async () => {
    const jwt = `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: me, jwksUri: "https://issuer.example/keys"PRESENCE }] }
`;
    const invariant = one("alwaysAllow: [{ to: [{ operation: { paths: ['/healthz'] } }] }]");
    const optional = await prove(WORKLOADS + jwt.replace('PRESENCE', ''), invariant);
    const required = await prove(WORKLOADS + jwt.replace('PRESENCE', ', presence: REQUIRED'), invariant);

    expect(optional.exitCode, optional.stdout + optional.stderr).to.equal(0);
    expect(required.exitCode, required.stdout + required.stderr).to.equal(79);
    expect(required.stdout).to.include('refused: GET /healthz\n');
  });

  it('says "not decided" with its own exit code', async () => {
    const split = `${WORKLOADS}---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: me, jwksUri: "https://issuer.example/keys", spaceDelimitedClaims: [sub] }] }
---
${policy("{ action: DENY, rules: [{ from: [{ source: { notRequestPrincipals: ['*'] } }] }] }").split('---\n')[1] ?? ''}`;
    const result = await prove(split, one('requireToken: {}'));

    expect(result.stdout + result.stderr).to.include('NOT DECIDED');
    expect(result.exitCode).to.equal(80);
  });
});

describe('sallyport prove with empty lists', () => {
  it('takes an empty list of sources for one that is absent', async () => {
    const result = await prove(WORKLOADS, one('neverAllow: [{ from: [], to: [{ operation: { paths: [/a] } }] }]'));

    expect(result.stdout).to.include('violated: one, foo/deployment/web');
    expect(result.exitCode).to.equal(79);
  });
});

describe('sallyport prove with bad input', () => {
  const bad: Readonly<Record<string, readonly [invariants: string, message: RegExp]>> = {
    'an unknown kind': [one('never: []'), /invariants\.yaml:4:5: error: invariants\[0\]\.never: Unrecognized key/i],
    'two kinds': [one('neverAllow: [{ to: [{ operation: { paths: [/a] } }] }]\n    requireToken: {}'), /needs exactly one of/],
    'no kind': ['invariants: [{ name: a, workloads: { namespaces: [foo] } }]', /needs exactly one of neverAllow/],
    'no workload': ['invariants: [{ name: a, workloads: {}, requireToken: {} }]', /invariants\[0\]\.workloads: names no workload/],
    'a workload that does not exist': [
      one('requireToken: {}').replace('[foo]', '[bar]'),
      /:2:1: error: workloads: .* names none of the workloads/,
    ],
    'an empty rule': [one('neverAllow: [{}]'), /:4:\d+: error: invariants\[0\]\.neverAllow\[0\]: an empty rule/],
    'a rule of empty parts': [
      one('neverAllow: [{ from: [], to: ~, when: [] }]'),
      /:4:\d+: error: invariants\[0\]\.neverAllow\[0\]: an empty rule/,
    ],
    'an unknown field of a rule': [
      one('neverAllow: [{ to: [{ operation: { pathes: [/a] } }] }]'),
      /:4:\d+: error: invariants\[0\]\.neverAllow\[0\]\.to\[0\]\.operation\.pathes: .*unknown field/,
    ],
    'an empty list': [one("neverAllow: [{ from: [{ source: { ipBlocks: ['10.0.0.0/99'] } }] }]"), /ipBlocks\[0\]: .*10\.0\.0\.0\/99/],
    'an unknown attribute': [one("neverAllow: [{ when: [{ key: 'request.path', values: [a] }] }]"), /unknown attribute "request\.path"/],
    'a name twice': [
      `${one('requireToken: {}')}  - name: one\n    workloads: { namespaces: [foo] }\n    requireToken: {}\n`,
      /:5:5: error: invariants\[1\]\.name: another invariant has this name/,
    ],
    'a bad path for a token': [one("requireToken: { paths: ['/a/{x}'] }"), /:4:\d+: error: invariants\[0\]\.requireToken\.paths\[0\]: /],
    nothing: ['', /invariants\.yaml:1: Invalid input/],
    'not a list': ['invariants: {}', /invariants\.yaml:1: invariants: /],
    'not YAML': ['invariants: [', /invariants\.yaml:1: /],
  };
  for (const [name, [invariants, message]] of Object.entries(bad)) {
    it(`refuses ${name}`, async () => {
      const result = await prove(WORKLOADS, invariants);

      expect(result.stderr).to.match(message);
      expect(result).to.include({ exitCode: 65, stdout: '' });
    });
  }

  it('refuses a policy that admission refuses', async () => {
    const result = await prove(policy('{ rules: [{ to: [{ operation: { ports: ["99999"] } }] }] }'), one('requireToken: {}'));

    expect(result.stderr).to.match(/p\/all\.yaml:\d+:\d+: error: AuthorizationPolicy foo\/p: spec\.rules\[0\]/);
    expect(result).to.include({ exitCode: 65, stdout: '' });
  });
});
