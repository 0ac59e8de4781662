/*
 * The commands that read a cluster, on a real API server with a controller that publishes.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { DIGEST_ANNOTATION } from '../../src/api/kube/names.ts';
import { type CliResult, runCommand } from '../support/cli-context.ts';
import { until } from '../support/fake-clock.ts';
import { BUNDLE_OF_WEB, PODS_OF_WEB, SHOP, setUpLive } from '../support/live-stage.ts';
import { withDirectory } from '../support/temporary-directory.ts';

const SCHEMA = new URL('../../docs/reference/output.schema.json', import.meta.url);
const validate = new Ajv({ strict: false }).compile(JSON.parse(readFileSync(SCHEMA, 'utf8')) as object);
const [FIRST = ''] = PODS_OF_WEB;
const IN = ['-n', SHOP] as const;
const LOG_LINE = JSON.stringify({
  time: '2026-01-31T12:00:00.000Z',
  component: 'access',
  decision: 'deny',
  'http.request.method': 'GET',
  'url.path': '/admin/users',
  'server.address': 'web.shop',
  'server.port': 8080,
  'client.address': '10.0.0.7',
  reason: 'deny-rule',
  principal: '',
  digest: `sha256:${'0'.repeat(64)}`,
});

/** The document that a command printed, which its schema describes. */
function documentOf({ exitCode, stdout, stderr }: CliResult, code = 0): Readonly<Record<string, unknown>> {
  expect(exitCode, stderr).to.equal(code);
  const value = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
  expect(validate(value), JSON.stringify(validate.errors)).to.equal(true);
  return value;
}

describe('the CLI on a cluster', () => {
  const at = setUpLive();

  it('says which CRDs are missing', () => {
    expect(at.withoutCrds).to.deep.equal({
      exitCode: 1,
      stdout: '',
      stderr:
        'sallyport: the cluster does not serve security.istio.io/v1: install the CRDs with kubectl apply --server-side -f crds.yaml\n',
    });
  });

  describe('check', () => {
    it('reports policies that select nothing and selected workloads without an agent', async () => {
      const { findings } = documentOf(await at.run(['check', ...IN, '-o', 'json'])) as {
        readonly findings: readonly Record<string, unknown>[];
      };

      const found = findings.map(({ code, object }) => `${String(code)} ${String(object)}`);
      expect(found).to.include.members(['SP_SELECTS_NOTHING AuthorizationPolicy shop/nowhere', 'SP_NO_AGENT pod shop/bare']);
      expect(found.filter((one) => one.includes('SP_NO_AGENT'))).to.have.length(1);
    });

    it('checks one namespace, or all', async () => {
      expect((await at.run(['check', '-n', 'other'])).stderr).to.equal('policies: 0, 0 errors, 0 warnings\n');
      const { exitCode, stdout, stderr } = await at.run(['check', '-A', '--fail-on', 'warning']);

      expect(exitCode).to.equal(79);
      expect(stderr).to.match(/^policies: 4, /);
      expect(stdout).to.not.include('<cluster>');
    });

    it('names verb and resource for a user without rights', async () => {
      const as = await at.plane.kubeconfigAs('nobody');

      expect(await at.run(['check', ...IN], { as })).to.deep.equal({
        exitCode: 1,
        stdout: '',
        stderr:
          'sallyport: forbidden: requestauthentications.security.istio.io is forbidden: User "nobody" cannot list resource "requestauthentications" in API group "security.istio.io" in the namespace "shop"\n',
      });
      const impersonated = await at.run(['check', ...IN, '--as', 'somebody', '--as-group', 'some']);
      expect(impersonated.exitCode).to.equal(1);
      expect(impersonated.stderr).to.include('User "somebody" cannot list resource');
    });

    it('says what it does not know when a user may read one namespace only', async () => {
      const as = await at.plane.kubeconfigAs('tenant');
      const rules = ['requestauthentications', 'authorizationpolicies', 'pods'].map((resource) => ({
        apiGroups: [resource === 'pods' ? '' : 'security.istio.io'],
        resources: [resource],
        verbs: ['list'],
      }));
      const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'tenant', namespace: SHOP } };
      await at.cluster.apply({ ...rbac, kind: 'Role', rules });
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'tenant' };
      await at.cluster.apply({ ...rbac, kind: 'RoleBinding', roleRef, subjects: [{ kind: 'User', name: 'tenant' }] });

      const { exitCode, stderr } = await at.run(['check', ...IN], { as });

      expect(exitCode).to.equal(0);
      expect(stderr)
        .to.include('defaults stand for the mesh settings of the controller')
        .and.to.include('root namespace istio-system are not considered');
      expect(stderr).to.include('User "tenant" cannot list resource "services"').and.to.include('policies: 4, ');
    });
  });

  describe('bundle', () => {
    it('shows what a pod enforces, with the policies that it is from', async () => {
      const { exitCode, stdout } = await at.run(['bundle', FIRST, ...IN]);

      expect(exitCode).to.equal(0);
      expect(stdout).to.include('shop/deployment/web').and.to.include('1 of 1 with an agent');
      expect(stdout).to.match(/signature +valid for the agents of its pods, by key /);
      expect(stdout).to.match(/DENY +shop\/no-admin rules\[0\] +1 +anyone +operation\.paths one of \/admin\*/);
      expect(stdout).to.match(/ALLOW +shop\/readers rules\[0\] +1 +source\.requestPrincipals one of me\/\* +operation\.methods one of GET/);
      expect(stdout).to.match(/shop\/jwt jwtRules\[0\] +1 +me +any +optional +1 from inline/);
    });

    it('gives the bundle of a workload as JSON, without secrets', async () => {
      const result = await at.run(['bundle', 'deploy/web', ...IN, '-o', 'json']);

      const value = documentOf(result);
      const published = await at.cluster.configMap(SHOP, BUNDLE_OF_WEB);
      expect(value['digest']).to.equal(published?.metadata?.annotations?.[DIGEST_ANNOTATION]);
      expect(value['pods']).to.deep.equal(PODS_OF_WEB.map((name) => ({ name, agent: true })));
      expect(JSON.stringify(published)).to.include('c2VjcmV0');
      expect(result.stdout).to.include('"k": "redacted"').and.not.include('c2VjcmV0');
    });

    const names: readonly (readonly [name: string, code: number, message: string])[] = [
      ['gone', 1, 'no pod and no workload with running pods is named "gone" in namespace shop'],
      ['pod/gone', 1, 'pods "gone" not found in namespace shop'],
      ['deployment/gone', 1, 'no running pod belongs to deployment/gone in namespace shop'],
      ['bare', 1, 'no bundle is published for shop/pod/bare: none of its pods has an agent, so no policy is enforced on it'],
      ['a/b/c', 64, 'invalid name "a/b/c": expected POD or KIND/NAME, e.g. deployment/httpbin'],
      ['\u001b[31mweb', 64, 'invalid name "\\u001b[31mweb": expected POD or KIND/NAME, e.g. deployment/httpbin'],
      ['../../secrets', 64, 'invalid name "../../secrets": expected POD or KIND/NAME, e.g. deployment/httpbin'],
    ];
    for (const [name, exitCode, message] of names) {
      it(`exits with ${exitCode} for ${JSON.stringify(name)}`, async () => {
        expect(await at.run(['bundle', name, ...IN])).to.deep.equal({ exitCode, stdout: '', stderr: `sallyport: ${message}\n` });
      });
    }
  });

  describe('explain', () => {
    it('evaluates a request with the published bundle', async () => {
      const { exitCode, stdout } = await at.run(['explain', FIRST, ...IN, '--url', '/admin/x']);

      expect(exitCode).to.equal(0);
      expect(stdout).to.include('deny 403').and.to.include('AuthorizationPolicy shop/no-admin rules[0]');
      const signed = await at.run(['explain', 'web', ...IN, '--url', '/', '--claims', '{"iss":"me","sub":"a"}', '-o', 'json']);
      expect(documentOf(signed)['verdict']).to.include({ outcome: 'allow' });
    });

    it('explains a line of the access log, and says that another bundle decided it', async () => {
      for (const [log, stdin] of [
        [LOG_LINE, ''],
        ['-', LOG_LINE],
      ] as const) {
        const { exitCode, stdout } = await at.run(['explain', 'deployment/web', ...IN, '--log', log], { stdin });

        expect(exitCode).to.equal(0);
        expect(stdout).to.include('deny 403  GET /admin/users').and.to.include('AuthorizationPolicy shop/no-admin rules[0]');
        expect(stdout).to.match(/another bundle decided the request: sha256:0{64}; this is for the one that is published now: sha256:/);
      }
    });

    it('exits with 65 for a line that is not of an access log', async () => {
      const { exitCode, stderr } = await at.run(['explain', 'web', ...IN, '--log', 'GET / HTTP/1.1']);

      expect([exitCode, stderr]).to.deep.equal([
        65,
        'sallyport: --log: not a line of the access log of an agent, which is a JSON object\n',
      ]);
    });
  });

  describe('diff --live', () => {
    const policy = (paths: string): string =>
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: no-admin }\nspec: { action: DENY, rules: [{ to: [{ operation: { paths: [${paths}] } }] }] }\n`;

    it('proves what applying files would change', async () => {
      await withDirectory({ 'same/p.yaml': policy('/admin*'), 'wider/p.yaml': policy('/admin/*') }, async (cwd) => {
        const same = await at.run(['diff', '--live', 'same', ...IN], { cwd });
        expect(same.exitCode).to.equal(0);
        const [warning, idle, ...rest] = same.stderr.split('\n');
        expect(warning).to.match(/^same\/p\.yaml:4:\d+: warning: AuthorizationPolicy shop\/no-admin: /);
        expect(idle).to.match(/^sallyport: some policies select no workload in the input; .+: shop\/app=none$/);
        expect(rest).to.deep.equal(['3 workloads: 3 same', '']);

        const wider = await at.run(['diff', '--live', 'wider', ...IN, '--fail-on', 'widened', '-o', 'json'], { cwd });
        expect(wider.exitCode).to.equal(79);
        expect(wider.stdout).to.include('"widened"');
      });
    });

    it('takes one directory', async () => {
      const { exitCode, stderr } = await at.run(['diff', '--live', 'a', 'b', ...IN]);

      expect([exitCode, stderr]).to.deep.equal([64, 'sallyport: --live compares one directory or file with the cluster\n']);
    });
  });

  describe('logs', () => {
    it('says that nothing was refused, and that a workload has no agents', async () => {
      const { exitCode, stderr } = await at.run(['logs', 'deployment/web', ...IN, '--denied']);

      // The pods run nowhere, so that their logs are empty.
      expect([exitCode, stderr]).to.deep.equal([0, 'sallyport: no request was refused\n']);
      const bare = await at.run(['logs', 'bare', ...IN]);
      expect([bare.exitCode, bare.stderr]).to.deep.equal([
        1,
        'sallyport: no pod of shop/pod/bare has an agent, so there is no access log\n',
      ]);
    });
  });

  describe('status', () => {
    it('shows policies with their conditions, and workloads with agents and bundles', async () => {
      const seen = async (): Promise<Readonly<Record<string, unknown>>> => documentOf(await at.run(['status', '-A', '-o', 'json']));
      await until(async () => JSON.stringify(await seen()).includes('"SelectsNothing"'), 'the statuses', 45_000);

      const { policies, workloads } = (await seen()) as {
        readonly policies: readonly { readonly name: string }[];
        readonly workloads: readonly object[];
      };
      expect(policies.map(({ name }) => name)).to.deep.equal(['jwt', 'no-admin', 'nowhere', 'readers']);
      const published = await at.cluster.configMap(SHOP, BUNDLE_OF_WEB);
      expect(workloads).to.have.length(1);
      expect(workloads[0]).to.deep.include({ workload: 'shop/deployment/web', pods: 2, agents: 2 });
      expect(JSON.stringify(workloads)).to.include(published?.metadata?.annotations?.[DIGEST_ANNOTATION] ?? 'no digest');
      const { exitCode, stdout } = await at.run(['status', ...IN, '--fail-on-problems']);
      expect(exitCode).to.equal(79);
      expect(stdout).to.match(/shop +AuthorizationPolicy no-admin +True +\w+ +False +/);
    });
  });

  describe('bug-report', () => {
    it('writes an archive without secrets', async () => {
      await withDirectory({}, async (cwd) => {
        const { exitCode, stdout, stderr } = await at.run(['bug-report', '-A', '-f', 'r.tar.gz'], { cwd });
        expect([exitCode, stdout], stderr).to.deep.equal([0, 'r.tar.gz\n']);
        await promisify(execFile)('tar', ['-xzf', 'r.tar.gz'], { cwd });

        const read = (name: string): string => readFileSync(join(cwd, 'sallyport-bug-report', name), 'utf8');
        const [keys, rules, bundles] = [
          read('policies/requestauthentications.json'),
          read('policies/authorizationpolicies.json'),
          read('bundles.json'),
        ];
        expect(keys).to.include('\\"kid\\":\\"h\\"').and.not.include('c2VjcmV0');
        expect(rules).to.include('"no-admin"');
        expect(bundles).to.include('"shop/sallyport-bundle-deployment.web.0"').and.not.include('c2VjcmV0');
        expect(JSON.parse(read('workloads.json'))).to.deep.include({ 'shop/deployment/web': { pods: 2, agents: 2, faults: [] } });
        expect(JSON.parse(read('versions.json'))).to.have.property('cluster');
      });
    });

    it('says what it could not collect', async () => {
      const as = await at.plane.kubeconfigAs('nobody');
      await withDirectory({}, async (cwd) => {
        const { exitCode, stderr } = await at.run(['bug-report', ...IN], { as, cwd });

        expect(exitCode).to.equal(0);
        expect(stderr).to.include('sallyport: not collected: pods: pods is forbidden: User "nobody" cannot list resource "pods"');
      });
    });
  });

  it('is a plug-in of kubectl, with completion of names in the cluster', async () => {
    await withDirectory({}, async (cwd) => {
      const bin = join(cwd, 'bin');
      mkdirSync(bin);
      const program = new URL('../../src/main/cli.ts', import.meta.url).pathname;
      const script = async (name: string, text: string): Promise<void> => {
        writeFileSync(join(bin, name), text);
        chmodSync(join(bin, name), 0o755);
        await Promise.resolve();
      };
      await script('kubectl-sallyport', `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
      await script('kubectl_complete-sallyport', (await runCommand(['completion', 'kubectl'])).stdout);
      const kubectl = async (...args: readonly string[]): Promise<string> => {
        const env = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}`, KUBECONFIG: at.plane.kubeconfigPath };
        return (await promisify(execFile)(at.plane.kubectlPath, [...args], { env })).stdout;
      };

      expect(await kubectl('sallyport', 'bundle', 'web', ...IN)).to.include('shop/no-admin rules[0]');
      // Completion offers no names when the cluster takes longer than a person waits, so that it is asked again.
      const offers = async (words: readonly string[], wanted: readonly string[]): Promise<boolean> => {
        const offered = (await kubectl('__complete', 'sallyport', ...words)).split('\n');
        return wanted.every((word) => offered.includes(word));
      };
      const names = [...PODS_OF_WEB, 'deployment/web', 'bare', ':4'];
      await until(() => offers(['bundle', 'show', '-n', SHOP, ''], names), `kubectl to offer ${names.join(', ')}`, 60_000);
      await until(() => offers(['check', '-n', 'sh'], ['shop', ':4']), 'kubectl to offer the namespace', 60_000);
      expect(await kubectl('__complete', 'sallyport', 'check', '-n', 'sh')).to.not.include('other');
    });
  });

  // The controller would repair the bundle.
  describe('a bundle that another client changed', () => {
    before(() => at.controller.stop());

    it('is refused as the agent refuses it, with exit code 65', async () => {
      const published = await at.cluster.configMap(SHOP, BUNDLE_OF_WEB);
      const data = published?.['data'] as Readonly<Record<string, string>>;
      const write = (changed: Readonly<Record<string, string>>): Promise<unknown> =>
        at.cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: BUNDLE_OF_WEB, namespace: SHOP }, data: changed });
      for (const [changed, reason] of [
        [{ ...data, part: `${data['part']} ` }, 'SP_BUNDLE'],
        [{ ...data, 'keys.jws': 'x' }, 'SP_BUNDLE'],
        [{ ...data, 'statement.jws': 'x' }, 'have no signed statement: another client wrote them'],
      ] as const) {
        await write(changed);
        const { exitCode, stdout, stderr } = await at.run(['bundle', 'web', ...IN]);

        expect([exitCode, stdout], stderr).to.deep.equal([65, '']);
        expect(stderr)
          .to.include(reason)
          .and.to.match(/^sallyport: .+\n$/);
        expect((await at.run(['explain', 'web', ...IN, '--url', '/'])).exitCode).to.equal(65);
      }
    });
  });
});
