/*
 * Reports of openreports.io on a real API server with the CRDs of that project, written with exactly the rights of the chart.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { FIELD_MANAGER } from '../../src/api/kube/names.ts';
import type { RawObject, WrittenObject } from '../../src/cluster/kube-object.ts';
import { deleteObject, readObject } from '../../src/cluster/objects.ts';
import { CLUSTER_REPORTS, collectionPath, REPORTS } from '../../src/cluster/paths.ts';
import type { ReportContent } from '../../src/reports/report.ts';
import { refusedRequests, writesOf } from '../cluster/audit.ts';
import { binaryPath, build, moduleDirectory } from '../cluster/build.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';

const run = promisify(execFile);
const chart = new URL('../../charts/sallyport/', import.meta.url).pathname;
const SYSTEM = 'sallyport-system';
const ROOT = 'mesh-root';
const ACCOUNT = `system:serviceaccount:${SYSTEM}:guard`;
const AP = 'AuthorizationPolicy';
/** Its CRDs are in `config/crd`. */
const OPENREPORTS = ['github.com/openreports/reports-api', 'v0.2.1', 'h1:g9KS3yle9Y1elmww4TK9EkD1rl6inIaiIJPX6e+u680='] as const;
const CRDS = ['openreports.io_reports.yaml', 'openreports.io_clusterreports.yaml'];
const SETTINGS = [
  `mesh.rootNamespace=${ROOT}`,
  'fullnameOverride=guard',
  'webhook.injection.enabled=false',
  'webhook.validation.enabled=false',
];
const RIGHTS: readonly string[] = ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];
const RULES = [{ to: [{ operation: { methods: ['GET'] } }] }];

type Report = ReportContent & RawObject;

interface Rendered extends WrittenObject {
  readonly rules?: readonly { readonly apiGroups?: readonly string[]; readonly resources?: readonly string[] }[];
  readonly data?: Readonly<Record<string, string>>;
}

async function template(...settings: readonly string[]): Promise<readonly Rendered[]> {
  const sets = [...SETTINGS, ...settings].flatMap((setting) => ['--set', setting]);
  const { stdout } = await run(binaryPath('helm'), ['template', 'guard', chart, '--namespace', SYSTEM, '--no-hooks', ...sets]);
  return parseAllDocuments(stdout).flatMap((document) => (document.toJS() as Rendered | null) ?? []);
}

function reportKinds(objects: readonly Rendered[]): readonly string[] {
  const rules = objects.flatMap((object) => object.rules ?? []).filter(({ apiGroups }) => apiGroups?.includes('openreports.io'));
  return [...new Set(rules.flatMap(({ resources = [] }) => resources))].sort();
}

describe('rights for reports', function () {
  this.timeout(180_000);
  before(() => build('integration'));

  it('are part of the chart only when reports are enabled', async () => {
    expect(reportKinds(await template())).to.deep.equal([]);
    expect(reportKinds(await template('watchNamespaces={foo}'))).to.deep.equal([]);
    expect(reportKinds(await template('reports.enabled=true'))).to.deep.equal(['clusterreports', 'reports']);
    expect(reportKinds(await template('reports.enabled=true', 'watchNamespaces={foo}'))).to.deep.equal(['reports']);
  });
});

for (const mode of [
  { name: 'in the whole cluster', settings: [], place: 'a ClusterReport' },
  { name: 'with watchNamespaces', settings: ['watchNamespaces={foo,bar}'], place: 'the Report of the root namespace' },
]) {
  describe(`reports of openreports.io, ${mode.name}`, function () {
    this.timeout(180_000);
    const startedMs = Date.now();
    let plane: ControlPlane;
    let cluster: PolicyCluster;
    let controller: ControllerProcess;
    let directory: string;
    const see = (condition: () => Promise<boolean>, what: string): Promise<void> => until(condition, what, 45_000);
    const isNamespaced = mode.settings.length > 0;
    const report = async (namespace: string): Promise<Report | undefined> =>
      (await readObject(cluster.client, { resource: REPORTS, namespace, name: 'sallyport' })) as Report | undefined;
    const rootReport = async (): Promise<Report | undefined> =>
      isNamespaced
        ? report(ROOT)
        : ((await readObject(cluster.client, { resource: CLUSTER_REPORTS, name: 'sallyport' })) as Report | undefined);
    const shown = (object: Report | undefined): readonly string[] =>
      (object?.results ?? []).map(
        ({ policy, result, rule, resources: [subject] }) => `${policy} ${result} ${rule} ${subject.kind} ${subject.name}`,
      );
    const installCrds = async (): Promise<void> => {
      const folder = join(await moduleDirectory(...OPENREPORTS), 'config', 'crd');
      for (const file of CRDS) await cluster.apply(parse(readFileSync(join(folder, file), 'utf8')) as WrittenObject);
    };
    const start = async (): Promise<void> => {
      controller = await startController({
        kubeconfig: await plane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]),
        name: 'guard-0',
        namespace: SYSTEM,
        env: { SALLYPORT_CONFIG: join(directory, 'config.yaml') },
      });
      await see(async () => (await controller.get('/readyz')).status === 200, 'readiness');
    };

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
      plane = await startControlPlane({ audit: true });
      cluster = await openPolicyCluster(plane.kubeconfigPath);
      for (const namespace of [SYSTEM, ROOT, 'foo', 'bar']) await cluster.namespace(namespace);
      const objects = await template('reports.enabled=true', ...mode.settings);
      for (const object of objects) if (RIGHTS.includes(object.kind)) await cluster.apply(object);
      const config = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata?.name === 'guard')?.data?.['config.yaml'];
      writeFileSync(join(directory, 'config.yaml'), config ?? '');
      await cluster.policy(AP, 'peer', 'foo', { rules: [{ from: [{ source: { principals: ['cluster.local/ns/a/sa/b'] } }] }] });
      await start();
    });

    after(async () => {
      await controller?.stop();
      await cluster?.close();
      await plane?.stop();
      rmSync(directory, { recursive: true, force: true });
    });

    it('says once that the CRDs are missing, and writes reports when they are installed', async () => {
      const missing = (): number => controller.log.filter(({ message }) => String(message).startsWith('the CRDs of openreports.io')).length;
      await see(async () => missing() === 1, 'the line in the log');
      await see(async () => (await cluster.condition(AP, 'peer', 'foo', 'Accepted')) !== undefined, 'the status, as without reports');

      await installCrds();
      await until(async () => (await report('foo').catch(() => undefined)) !== undefined, 'the report', 90_000);
      expect(missing()).to.equal(1);
      expect(shown(await report('foo'))).to.deep.equal([`${AP}/peer warn SP_NEEDS_PEER_IDENTITY ${AP} peer`]);
    });

    it('has what the API server accepts without a change: every field of a result is in the schema', async () => {
      const object = await report('foo');
      expect(object?.source).to.equal('sallyport');
      expect(object?.summary).to.deep.equal({ pass: 0, fail: 0, warn: 1, error: 0, skip: 0 });
      expect(object?.results[0]).to.have.all.keys(
        'source',
        'policy',
        'rule',
        'category',
        'result',
        'severity',
        'message',
        'resources',
        'timestamp',
      );
      expect(object?.results[0]?.resources[0]).to.include({ apiVersion: 'security.istio.io/v1', namespace: 'foo', name: 'peer' });
    });

    it('changes when findings change, and keeps the times of the others', async () => {
      const before = await report('foo');
      await cluster.policy(AP, 'open', 'foo', { rules: RULES });
      await cluster.pod({ namespace: 'foo', name: 'bare', labels: { app: 'bare' }, agent: false });

      await see(async () => shown(await report('foo')).length === 3, 'the workload without an agent');
      const after = await report('foo');
      expect(shown(after)).to.deep.equal([
        `${AP}/open fail InjectionDisabled Pod bare`,
        `${AP}/peer fail InjectionDisabled Pod bare`,
        `${AP}/peer warn SP_NEEDS_PEER_IDENTITY ${AP} peer`,
      ]);
      expect(after?.results[2]?.timestamp).to.deep.equal(before?.results[0]?.timestamp);
    });

    it(`has policies of the root namespace in ${mode.place}`, async () => {
      await cluster.policy(AP, 'everywhere', ROOT, { rules: RULES });
      await see(async () => shown(await rootReport()).length === 1, 'the report');
      expect(shown(await rootReport())).to.deep.equal([`${AP}/everywhere fail InjectionDisabled Pod bare`]);
      expect((await report(ROOT)) === undefined).to.equal(!isNamespaced);
    });

    it('writes nothing when a new leader finds the same', async () => {
      const before = [await report('foo'), await rootReport()].map((object) => object?.metadata?.resourceVersion);
      await controller.stop();
      await start();
      const checked = async (): Promise<number> => (await controller.metric('sallyport_report_write_total{result="unchanged"}')) ?? 0;
      await see(async () => (await checked()) >= 2, 'both reports to be compared');

      expect([await report('foo'), await rootReport()].map((object) => object?.metadata?.resourceVersion)).to.deep.equal(before);
      expect(await controller.metric('sallyport_report_write_total{result="updated"}')).to.equal(undefined);
    });

    it('disappears with the last finding', async () => {
      await cluster.deletePolicy(AP, 'everywhere', ROOT);
      await cluster.deletePod('foo', 'bare');
      await see(async () => (await rootReport()) === undefined, 'the report of the root namespace to go');
      await see(async () => shown(await report('foo')).length === 1, 'the results of the pod to go');
      await cluster.deletePolicy(AP, 'peer', 'foo');
      await see(async () => (await report('foo')) === undefined, 'the report to go');
    });

    it('had every request allowed, and wrote only its own reports', async () => {
      expect((await refusedRequests(plane.auditLogPath ?? '')).filter(({ user }) => user === ACCOUNT)).to.deep.equal([]);
      const writes = (await writesOf(plane.auditLogPath ?? '', ACCOUNT, startedMs)).filter((write) => write.includes('/openreports.io/'));
      expect(writes).to.not.deep.equal([]);
      const own = /^(?:patch|delete) \/apis\/openreports\.io\/v1alpha1\/(?:namespaces\/[a-z-]+\/reports|clusterreports)\/sallyport(?:\?|$)/;
      expect(writes.filter((write) => !own.test(write))).to.deep.equal([]);
      expect(writes.some((write) => write.includes(`fieldManager=${FIELD_MANAGER}`))).to.equal(true);
      await cluster.client.request({ method: 'GET', path: collectionPath(REPORTS) });
      expect(await deleteObject(cluster.client, { resource: REPORTS, namespace: 'foo', name: 'sallyport' })).to.equal(false);
    });
  });
}
