/*
 * The short form of a release on the lowest and the highest minor of Kubernetes that the product claims: CRDs with CEL, the chart
 * installed, upgraded and uninstalled, admission policies that refuse, and a bundle. `SALLYPORT_KUBERNETES` runs the whole integration suite on the lowest.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { refusedRequests } from '../cluster/audit.ts';
import { binaryPath } from '../cluster/build.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { KUBERNETES, selectedKubernetes } from '../cluster/versions.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { AGENT_IMAGE } from '../support/guarded-pods.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';
import { VALUES_WITHOUT_NODES } from '../support/tenant-stage.ts';

const run = promisify(execFile);
const chart = new URL('../../charts/sallyport/', import.meta.url).pathname;
const SYSTEM = 'sallyport-system';
const ACCOUNT = `system:serviceaccount:${SYSTEM}:sallyport`;
const CASES = new Map([
  [KUBERNETES.lowest.version as string, true],
  [selectedKubernetes(), selectedKubernetes() === KUBERNETES.lowest.version],
]);

for (const [version, lowest] of CASES) {
  describe(`Kubernetes ${version}`, function () {
    this.timeout(180_000);
    let plane: ControlPlane;
    let cluster: PolicyCluster;
    let tenant: string;
    let controller: ControllerProcess | undefined;

    const kubectl = async (...args: readonly string[]): Promise<string> =>
      (await run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, ...args])).stdout;
    const asTenant = (...args: readonly string[]): Promise<string> =>
      run(plane.kubectlPath, [`--kubeconfig=${tenant}`, '-n', 'foo', ...args]).then(
        () => 'done',
        (failure: Error) => failure.message,
      );
    const helm = async (command: string, ...args: readonly string[]): Promise<string> =>
      (await run(binaryPath('helm'), [command, 'sallyport', `--kubeconfig=${plane.kubeconfigPath}`, '--namespace', SYSTEM, ...args]))
        .stdout;
    const withValues = (...more: readonly string[]): readonly string[] =>
      [...VALUES_WITHOUT_NODES, ...more].flatMap((value) => ['--set', value]);

    before(async () => {
      plane = await startControlPlane({ audit: true, lowest });
      tenant = await plane.kubeconfigAs('alice');
    });
    after(async () => {
      await controller?.stop();
      await cluster?.close();
      await plane?.stop();
    });

    it('is what the API server says it is', async () => {
      expect((JSON.parse(await kubectl('get', '--raw', '/version')) as { readonly gitVersion: string }).gitVersion).to.equal(version);
    });

    it('takes the chart with its CRDs', async () => {
      await helm('install', chart, '--create-namespace', ...withValues());
      cluster = await openPolicyCluster(plane.kubeconfigPath);
      await cluster.namespace('foo');
      // Without a controller manager, the role `edit` has no rights.
      await kubectl('create', 'role', 'edit', '-n', 'foo', '--verb=get,create', '--resource=configmaps');
      await kubectl('create', 'rolebinding', 'alice', '-n', 'foo', '--role=edit', '--user=alice');

      const count = async (kind: string): Promise<number> => (await kubectl('get', kind, '-o', 'name')).trim().split('\n').length;
      expect(await count('validatingadmissionpolicies.v1.admissionregistration.k8s.io')).to.equal(7);
      expect(await count('crd')).to.equal(2);
    });

    it('accepts a valid policy, and refuses an invalid one by schema and by CEL', async () => {
      const refusal = async (spec: object): Promise<string> => {
        const applying = run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, 'apply', '-f', '-']);
        const metadata = { name: 'p', namespace: 'foo' };
        applying.child.stdin?.end(JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec }));
        return applying.then(
          ({ stdout }) => stdout,
          (failure: Error) => failure.message,
        );
      };

      expect(await refusal({ action: 'DENY', rules: [{}] })).to.contain('created');
      expect(await refusal({ action: 'Deny' })).to.contain('Unsupported value: "Deny"');
      const both = { selector: { matchLabels: { a: 'b' } }, targetRef: { group: '', kind: 'Service', name: 's' } };
      expect(await refusal(both)).to.contain('only one of targetRefs or selector can be set');
    });

    it('lets admission policies refuse what only the controller may write', async () => {
      const bundle = (): Promise<string> => asTenant('create', 'configmap', 'sallyport-bundle-probe', '--dry-run=server');

      // The API server compiles admission policies in the background.
      await until(async () => (await bundle()).includes('ValidatingAdmissionPolicy'), 'the refusal of a bundle', 60_000);
      expect(await asTenant('create', 'configmap', 'other')).to.equal('done');
    });

    it('gives the controller the rights to publish a bundle and the status', async () => {
      controller = await startController({
        kubeconfig: await plane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]),
        name: 'controller',
        namespace: SYSTEM,
        env: { SALLYPORT_AGENT_IMAGE: AGENT_IMAGE },
      });
      const started = controller;
      // The pod trusts the signing keys, which the controller creates.
      await until(async () => (await started.get('/readyz')).status === 200, 'the controller to be ready', 60_000);
      await cluster.pod({ namespace: 'foo', name: 'web' });

      await until(async () => (await cluster.bundle('foo', 'web'))?.programs[0]?.http.deny.rules.length === 1, 'the bundle', 60_000);
      const ready = (): ReturnType<PolicyCluster['condition']> => cluster.condition('AuthorizationPolicy', 'p', 'foo', 'Ready');
      await until(async () => (await ready())?.status === 'True', 'the status', 60_000);
      const refused = (await refusedRequests(plane.auditLogPath ?? '')).filter(({ user }) => user === ACCOUNT);
      expect(refused).to.deep.equal([]);
    });

    it('upgrades the chart while the controller works', async () => {
      await helm('upgrade', chart, ...withValues('logLevel=debug', 'prometheusRule.enabled=false'));
      await cluster.deletePolicy('AuthorizationPolicy', 'p', 'foo');

      await until(async () => (await cluster.bundle('foo', 'web'))?.programs[0]?.http.deny.rules.length === 0, 'the new bundle', 60_000);
      expect(await kubectl('get', 'configmap', 'sallyport', '-n', SYSTEM, '-o', 'jsonpath={.data.config\\.yaml}')).to.contain('debug');
    });

    it('keeps nothing of the chart but the CRDs after uninstall', async () => {
      await controller?.stop();
      controller = undefined;
      await helm('uninstall');

      const kinds =
        'clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingwebhookconfigurations,validatingwebhookconfigurations';
      expect(await kubectl('get', kinds, '-l', 'app.kubernetes.io/part-of=sallyport', '-o', 'name')).to.equal('');
      const own = 'deployments,services,configmaps,serviceaccounts,roles,rolebindings';
      expect(await kubectl('get', own, '-n', SYSTEM, '-l', 'app.kubernetes.io/part-of=sallyport', '-o', 'name')).to.equal('');
      expect(await kubectl('get', 'crd', '-o', 'name')).to.contain('authorizationpolicies');
    });
  });
}
