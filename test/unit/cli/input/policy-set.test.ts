/* explain, test and diff evaluate what would be enforced, also where policies are over their budget. */
import { expect } from 'chai';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

function policy(name: string, spec: object): object {
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name, namespace: 'foo' }, spec };
}

const onPath = (path: string): object => ({ to: [{ operation: { paths: [path] } }] });
/** More bytes than one policy may have, in few values, so that reading them is quick; none of them matches `/x`. */
const TOO_MANY = Array.from({ length: 45 }, (_, at) => onPath(`/${at}${'y'.repeat(100_000)}`));

const WEB = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'foo' },
  spec: { template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a', image: 'x' }] } } },
};

/** Five pods of one workload with a program each, which do not fit into one bundle together. */
const VERSIONS = Array.from({ length: 5 }, (_, at) => ({ app: 'web', version: `v${at}` }));
const PODS = VERSIONS.map((labels, at) => {
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'u', controller: true };
  const metadata = { name: `web-${at}`, namespace: 'foo', labels, ownerReferences: [owner] };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'a', image: 'x' }] } };
});
const OF_VERSIONS = VERSIONS.map((matchLabels, at) =>
  policy(`v${at}`, { selector: { matchLabels }, action: 'DENY', rules: [onPath(`/${at}`)] }),
);
/** 1.2 MB each. */
const LARGE = [0, 1, 2].map((at) =>
  policy(`large${at}`, {
    action: 'AUDIT',
    rules: [{ to: [{ operation: { paths: Array.from({ length: 24 }, (_, n) => `/${n}${'x'.repeat(50_000)}`) } }] }],
  }),
);

async function run(items: readonly object[], ...args: readonly string[]): Promise<CliResult> {
  const [command = '', ...flags] = args;
  const files = { 'all.json': JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) };
  return withDirectory(files, (cwd) => runCommand([command, 'all.json', ...flags], { cwd }));
}

describe('what explain, test and diff evaluate', function () {
  for (const [action, rules, verdict, consequence] of [
    ['ALLOW', [{}, ...TOO_MANY], 'deny', 'it allows nothing'],
    ['DENY', TOO_MANY, 'deny', 'every request to the pods that it selects is denied'],
  ] as const) {
    it(`is the stricter replacement of an ${action} policy that is over its budget, and they say so`, async () => {
      const { stdout, stderr } = await run([WEB, policy('many', { action, rules })], 'explain', '--url', '/x', '-o', 'json');
      const explained = JSON.parse(stdout) as { readonly verdict: object; readonly caveats: readonly string[] };

      expect(explained.verdict).to.include({ outcome: verdict });
      expect(explained.caveats.join()).to.contain(`AuthorizationPolicy foo/many is over its budget: `).and.contain(consequence);
      expect(stderr).to.match(/^all\.json:1:\d+: error: AuthorizationPolicy foo\/many: .*\[SP_OVER_BUDGET\]$/m);
    });
  }

  it('does not call a policy invalid that is over its budget and replaced by nothing', async () => {
    const { stdout } = await run([WEB, policy('many', { action: 'AUDIT', rules: TOO_MANY })], 'explain', '--url', '/x');

    expect(stdout)
      .to.match(/^allow /)
      .and.contain('it is over its budget, see its findings');
  });

  it('is what fits into the bundle of all pods of the workload', async () => {
    const allow = policy('allow', { rules: [{}] });
    const all = [...PODS, ...OF_VERSIONS, ...LARGE, allow];
    const { stdout, stderr } = await run(all, 'explain', '--url', '/x', '--labels', 'app=web,version=v3');
    const small = await run([...PODS, ...OF_VERSIONS, allow], 'explain', '--url', '/x', '--labels', 'app=web,version=v3');

    expect(small.stdout).to.match(/^allow /);
    expect(stdout).to.match(/^deny 403 /);
    expect(stdout).to.contain('note: AuthorizationPolicy foo/v3 is over its budget').and.not.contain('foo/v4 is over');
    expect(stderr.match(/SP_OVER_BUDGET/g)).to.have.length(9);
  });
});

describe('the findings of compiling', () => {
  // Istio admits the second key, and Envoy does not use it.
  const keys = '{"keys":[{"kty":"oct","kid":"b","k":"c2VjcmV0"},{"kty":"RSA","kid":"a","n":"wShktHIe","e":"AQAB"}]}';
  const jwt = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: "https://i.example", jwks: '${keys}' }] }
`;
  const table = `manifests: [a.yaml, b.json]
workload: foo/web
tests: [{ name: one, request: { path: / }, expect: allow }, { name: two, request: { path: /x }, expect: allow }]
`;
  const files = { 'a.yaml': jwt, 'b.json': JSON.stringify(WEB), 't.sallyport-test.yaml': table };

  for (const args of [
    ['explain', 'a.yaml', 'b.json', '--url', '/'],
    ['test', '.'],
  ]) {
    it(`are shown once by ${args[0]}`, async () => {
      const { stderr } = await withDirectory(files, (cwd) => runCommand(args, { cwd }));

      expect(stderr.match(/a\.yaml:4:\d+: warning: RequestAuthentication foo\/jwt: .*kid "a".*\[SP_JWKS\]/g)).to.have.length(1);
    });
  }

  it('are shown by diff for each side', async () => {
    const sides = { 'one/a.yaml': jwt, 'one/b.json': files['b.json'], 'two/a.yaml': jwt, 'two/b.json': files['b.json'] };
    const { stderr } = await withDirectory(sides, (cwd) => runCommand(['diff', 'one', 'two', '--generate', '50'], { cwd }));

    expect(stderr.match(/(one|two)\/a\.yaml:.*kid "a".*\[SP_JWKS\]/g)).to.have.length(2);
  });
});
