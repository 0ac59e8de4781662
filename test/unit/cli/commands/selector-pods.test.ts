/*
 * Policies whose workloads are not in the input: they are proven and compared for pods with the labels of their selectors.
 */
import { expect } from 'chai';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const workload = (app: string): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${app}, namespace: shop }
spec: { template: { metadata: { labels: { app: ${app} } } } }
`;
const allow = (name: string, selector: string, rule: string, namespace = 'shop'): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { matchLabels: { ${selector} } }, rules: [${rule}] }
`;
const DENY_ALL = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: none, namespace: shop }\nspec: {}\n';
const TOKENS = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec: { selector: { matchLabels: { app: cart } }, jwtRules: [{ issuer: me, jwksUri: "https://issuer.example/keys" }] }
`;
const ADMIN = '{ to: [{ operation: { paths: [/admin] } }] }';
const WITH_TOKEN = '{ from: [{ source: { requestPrincipals: ["me/*"] } }], to: [{ operation: { paths: [/admin] } }] }';
const CLOSED = '{ to: [{ operation: { paths: [/open] } }] }';

interface Proof {
  readonly exitCode: number;
  readonly stderr: string;
  readonly answers: readonly string[];
}

async function prove(policies: readonly string[], workloads = '{ namespaces: [shop] }'): Promise<Proof> {
  const invariants = `invariants:\n  - name: one\n    workloads: ${workloads}\n    neverAllow: [${ADMIN}]\n`;
  const files = { 'p/all.yaml': policies.join('---\n'), 'i.yaml': invariants };
  const args = ['prove', 'p', '--invariants', 'i.yaml', '-o', 'json'];
  const { exitCode, stderr, stdout } = await withDirectory(files, (cwd) => runCommand(args, { cwd }));
  const parsed = stdout === '' ? { invariants: [] } : (JSON.parse(stdout) as { invariants: { workload: string; answer: string }[] });
  return { exitCode, stderr, answers: parsed.invariants.map((one) => `${one.workload} ${one.answer}`) };
}

describe('policies without their workloads', () => {
  it('are proven for pods with the labels of their selectors', async () => {
    const { exitCode, answers } = await prove([DENY_ALL, allow('cart', 'app: cart', ADMIN)]);

    expect(answers).to.deep.equal(['shop/any-pod proven', 'shop/app=cart violated']);
    expect(exitCode).to.equal(79);
  });

  it('are proven next to workloads that they do not select', async () => {
    const { exitCode, answers } = await prove([DENY_ALL, allow('cart', 'app: cart', ADMIN), workload('web')]);

    expect(answers).to.deep.equal(['shop/deployment/web proven', 'shop/app=cart violated']);
    expect(exitCode).to.equal(79);
  });

  it('are no further pods when every policy selects a workload', async () => {
    const { exitCode, answers } = await prove([DENY_ALL, allow('cart', 'app: cart', CLOSED), workload('cart')]);

    expect([exitCode, answers]).to.deep.equal([0, ['shop/deployment/cart proven']]);
  });

  it('are proven for selectors together, which let in more than each alone', async () => {
    const { answers } = await prove([DENY_ALL, TOKENS, allow('web', 'tier: web', WITH_TOKEN)]);

    expect(answers).to.deep.equal([
      'shop/any-pod proven',
      'shop/app=cart proven',
      'shop/tier=web proven',
      'shop/app=cart,tier=web violated',
    ]);
  });

  it('are not proven for labels that contradict the invariant or each other', async () => {
    const policies = [DENY_ALL, allow('cart', 'app: cart', ADMIN), allow('pay', 'app: pay', CLOSED), allow('eu', 'area: eu', CLOSED)];
    const { answers } = await prove(policies, '{ namespaces: [shop], selector: { matchLabels: { app: pay } } }');

    expect(answers).to.deep.equal(['shop/app=pay proven', 'shop/app=pay,area=eu proven']);
  });

  it('are proven in every namespace when they are in the root namespace', async () => {
    const { answers } = await prove([DENY_ALL, allow('cart', 'app: cart', ADMIN, 'istio-system')], "{ namespaces: ['*'] }");

    expect(answers).to.deep.equal([
      'istio-system/any-pod violated',
      'istio-system/app=cart violated',
      'shop/any-pod proven',
      'shop/app=cart violated',
    ]);
  });

  const diff = (before: readonly string[], after: readonly string[], ...args: string[]): Promise<CliResult> =>
    withDirectory({ 'a/p.yaml': before.join('---\n'), 'b/p.yaml': after.join('---\n') }, (cwd) =>
      runCommand(['diff', 'a', 'b', ...args], { cwd }),
    );

  it('are compared next to workloads that they do not select', async () => {
    const [before, after] = [allow('cart', 'app: cart', CLOSED), allow('cart', 'app: cart', ADMIN)];
    const { exitCode, stdout, stderr } = await diff([before, workload('web')], [after, workload('web')]);

    expect(exitCode).to.equal(79);
    expect(stdout).to.include('shop/deployment/web: same').and.include('shop/deployment/app=cart (app=cart): ');
    expect(stderr).to.include(
      'some policies select no workload in the input; also compared for pods with the labels that the policies select: shop/app=cart\n',
    );
  });

  it('are compared for selectors together', async () => {
    const [before, after] = [allow('web', 'tier: web', CLOSED), allow('web', 'tier: web', WITH_TOKEN)];
    const { stdout } = await diff([DENY_ALL, TOKENS, before], [DENY_ALL, TOKENS, `${after}---\n${allow('rest', 'tier: web', CLOSED)}`]);

    expect(stdout).to.include('shop/deployment/tier=web (tier=web): same').and.include('app=cart,tier=web (app=cart,tier=web): widened');
  });

  it('are compared by samples, too', async () => {
    const [before, after] = [allow('cart', 'app: cart', CLOSED), allow('cart', 'app: cart', ADMIN)];
    const { exitCode } = await diff([before, workload('web')], [after, workload('web')], '--generate', '100');

    expect(exitCode).to.equal(79);
  });

  it('are refused when their selectors make too many combinations of labels', async () => {
    const policies = Array.from({ length: 13 }, (_, at) => allow(`p${at}`, `key${at}: x`, CLOSED));
    const { exitCode, stderr } = await diff(policies, policies);

    expect(exitCode).to.equal(65);
    expect(stderr).to.include('policies of shop select pods by more than 5000 combinations of labels; add the manifests of the workloads');
  });

  it('are refused when all namespaces together make too many combinations', async () => {
    const policies = Array.from({ length: 90 }, (_, at) => allow(`p${at % 9}`, `key${at % 9}: x`, CLOSED, `n${Math.floor(at / 9)}`));
    const { exitCode, stderr } = await diff(policies, policies);

    expect(exitCode).to.equal(65);
    expect(stderr).to.include('policies of the namespaces together select pods by more than 5000 combinations of labels');
  });
});
