/*
 * What the chart renders with each of its ci/*-values.yaml, and the files of manifests/, checked by kubeconform with the schemas of the lowest
 * and the highest Kubernetes that the product claims, and by checkov.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { binaryPath, build, buildModule } from '../cluster/build.ts';
import { cacheRoot, withLock } from '../cluster/cache.ts';
import { startControlPlane } from '../cluster/control-plane.ts';
import { type OpenApi, SCHEMA_LOCATION, writeSchemas } from '../support/api-schemas.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const chart = join(root, 'charts/sallyport');
const valuesFiles = readdirSync(join(chart, 'ci')).sort();
const CHECKOV = '3.3.30';
/** Kinds of other projects, which kubeconform skips: an API server without their CRDs has no schema of them. Their own types read them. */
const FOREIGN = ['Certificate', 'Issuer', 'PodMonitor', 'PrometheusRule', 'ServiceMonitor'];

/** The pods of `helm test`, which live for a minute. */
const OF_TESTS = /-test(?:-client|\.app\.kubernetes\.io.*)?$/;
const CONTROLLER = /^Deployment\.sallyport-system\./;
const NODE = /^DaemonSet\.sallyport-node\./;
const PODS = new RegExp(`${OF_TESTS.source}|${CONTROLLER.source}|${NODE.source}`);

/** What checkov may find, where, and why it stays. One that is not found any more is to be removed. */
const EXCEPTIONS: readonly (readonly [check: string, resources: RegExp, reason: string])[] = [
  ['CKV_K8S_11', PODS, 'a CPU limit throttles the controller while it holds the lease; `resources` sets one where a cluster demands it'],
  ['CKV_K8S_15', PODS, '`image.pullPolicy` is a value; a version is never pushed twice'],
  ['CKV_K8S_43', PODS, '`image.digest` and `agent.image.digest` are values'],
  ['CKV_K8S_19', CONTROLLER, '`hostNetwork` is off; the full values turn it on'],
  ['CKV_K8S_38', CONTROLLER, 'the controller talks to the API server'],
  ['CKV_K8S_38', NODE, 'the program of the node watches pods'],
  ['CKV_K8S_25', NODE, 'it enters the network namespaces of pods and sets rules there; ADR 51 lists its rights'],
  ['CKV_K8S_39', NODE, 'setns needs CAP_SYS_ADMIN'],
  ['CKV_K8S_23', NODE, 'capabilities of other users do not reach iptables'],
  ['CKV_K8S_40', NODE, 'the same'],
  ['CKV2_K8S_6', /^Pod\.sallyport-node\./, 'it serves health and metrics only'],
  ['CKV_K8S_155', /^ClusterRole\.default\./, 'the controller sets caBundle in two webhook configurations, by name'],
  ['CKV_K8S_8', OF_TESTS, 'a pod that hangs fails the test by its deadline'],
  ['CKV_K8S_9', OF_TESTS, 'the client of the test waits for answers'],
  ['CKV_K8S_21', OF_TESTS, '`tests.namespace` is a value'],
  ['CKV2_K8S_6', OF_TESTS, 'the NetworkPolicy of the chart is of the controller'],
];

interface KubeconformReport {
  readonly resources: readonly {
    readonly filename: string;
    readonly kind: string;
    readonly name: string;
    readonly status: string;
    readonly msg: string;
  }[];
}

interface CheckovReport {
  readonly results: {
    readonly passed_checks: readonly { readonly check_id: string; readonly resource: string; readonly file_path: string }[];
    readonly failed_checks: readonly {
      readonly check_id: string;
      readonly check_name: string;
      readonly resource: string;
      readonly file_path: string;
    }[];
    readonly parsing_errors: readonly string[];
  };
}

/** Parts of objects of others, which are tested by what reads them: gitops.test.ts. */
const FRAGMENTS: readonly string[] = ['argocd-cm-patch.yaml', 'flux-health-checks.yaml'];

/** Every file of manifests/ with objects of a cluster. */
function manifests(): readonly string[] {
  const folder = join(root, 'manifests');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const objects = names.filter((name) => name.endsWith('.yaml') && ![...FRAGMENTS, 'kustomization.yaml'].includes(basename(name)));
  return objects.map((name) => join(folder, name));
}

/** Installs checkov once. @returns the Python that has it: the path in its own script is that of the installation */
function checkov(): Promise<string> {
  const goal = join(cacheRoot(), `checkov-${CHECKOV}`);
  return withLock('checkov', async () => {
    if (existsSync(goal)) return join(goal, 'bin/python');
    const work = `${goal}.installing`;
    await rm(work, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', work]);
    await run(join(work, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', `checkov==${CHECKOV}`]);
    await rename(work, goal);
    return join(goal, 'bin/python');
  });
}

describe('scanners of manifests', function () {
  // The first run installs checkov.
  this.timeout(600_000);
  let directory: string;
  /** One file for each values file. */
  let rendered: string;

  before(async () => {
    await build('integration');
    directory = mkdtempSync(join(tmpdir(), 'sallyport-scan-'));
    rendered = join(directory, 'rendered');
    mkdirSync(rendered);
    for (const file of valuesFiles) {
      const args = [
        'template',
        'sallyport',
        chart,
        '--namespace',
        'sallyport-system',
        '--include-crds',
        '--values',
        join(chart, 'ci', file),
      ];
      writeFileSync(join(rendered, file), (await run(binaryPath('helm'), args, { maxBuffer: 1e8 })).stdout);
    }
  });
  after(() => rm(directory, { recursive: true, force: true }));

  for (const lowest of [true, false]) {
    it(`kubeconform finds no unknown field on the ${lowest ? 'lowest' : 'highest'} Kubernetes`, async () => {
      const schemas = join(directory, `schemas-${lowest}`);
      mkdirSync(schemas);
      await withOpenApi(lowest, (document) => expect(writeSchemas(document, schemas)).to.be.greaterThan(100));
      const check = async (...files: readonly string[]): Promise<KubeconformReport['resources']> => {
        const args = [
          '-strict',
          '-output',
          'json',
          '-verbose',
          '-skip',
          FOREIGN.join(),
          '-schema-location',
          join(schemas, SCHEMA_LOCATION),
        ];
        const { stdout } = await run(binaryPath('kubeconform'), [...args, ...files], { maxBuffer: 1e8 }).catch(
          (failure: { readonly stdout: string }) => failure,
        );
        return (JSON.parse(stdout) as KubeconformReport).resources;
      };

      const resources = await check(...valuesFiles.map((file) => join(rendered, file)), ...manifests());
      expect(resources.filter(({ status }) => status !== 'statusValid' && status !== 'statusSkipped')).to.deep.equal([]);
      const skipped = new Set(resources.filter(({ status }) => status === 'statusSkipped').map(({ kind }) => kind));
      expect([...skipped].sort()).to.deep.equal(FOREIGN);
      const wrong = join(directory, 'wrong.json');
      writeFileSync(wrong, JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { portz: [] } }));
      const [fault] = await check(wrong);
      expect(fault?.msg).to.contain('portz');
    });
  }

  it('kinds of other projects have no field that their own types lack', async () => {
    const reader = await buildModule('check-foreign-kinds', new URL('foreign-kinds/', import.meta.url));
    const texts = [...valuesFiles.map((file) => join(rendered, file)), join(root, 'manifests/components/monitoring/monitors.yaml')];
    const objects = texts
      .flatMap((path) => parseAllDocuments(readFileSync(path, 'utf8')))
      .flatMap((document) => (document.toJS() as { readonly kind: string } | null) ?? [])
      .filter(({ kind }) => FOREIGN.includes(kind));
    const check = async (list: readonly object[]): Promise<string> => {
      const reading = run(reader, []);
      reading.child.stdin?.end(list.map((object) => JSON.stringify(object)).join('\n'));
      return (await reading.catch((failure: { readonly stdout: string }) => failure)).stdout;
    };

    expect(new Set(objects.map(({ kind }) => kind))).to.deep.equal(new Set(FOREIGN));
    expect(await check(objects)).to.equal('');
    const wrong = { apiVersion: 'cert-manager.io/v1', kind: 'Certificate', metadata: { name: 'a' }, spec: { secretNam: 'b' } };
    expect(await check([wrong])).to.contain('unknown field "secretNam"');
  });

  it('checkov finds nothing but what is excepted here', async () => {
    const args = ['--directory', rendered, '--framework', 'kubernetes', '--output', 'json', '--compact', '--skip-download', '--soft-fail'];
    const env = { ...process.env, BC_SKIP_MAPPING: 'true' };
    const { stdout } = await run(await checkov(), ['-m', 'checkov.main', ...args], { cwd: rendered, env, maxBuffer: 1e9 });
    const { results } = JSON.parse(stdout) as CheckovReport;
    const isExcepted = (one: { readonly check_id: string; readonly resource: string }): boolean =>
      EXCEPTIONS.some(([check, resources]) => check === one.check_id && resources.test(one.resource));

    const found = results.failed_checks.filter((one) => !isExcepted(one));
    expect(found.map((one) => `${one.file_path} ${one.resource} ${one.check_id} ${one.check_name}`)).to.deep.equal([]);
    expect(results.parsing_errors).to.deep.equal([]);
    expect(new Set(results.passed_checks.map(({ file_path }) => file_path.slice(1)))).to.deep.equal(new Set(valuesFiles));
    const unused = EXCEPTIONS.filter(
      ([check, resources]) => !results.failed_checks.some((one) => one.check_id === check && resources.test(one.resource)),
    );
    expect(unused).to.deep.equal([]);
  });
});

/** The OpenAPI document of an API server with our CRDs. */
async function withOpenApi(lowest: boolean, use: (document: OpenApi) => void): Promise<void> {
  const plane = await startControlPlane({ lowest });
  try {
    const kubectl = async (...args: readonly string[]): Promise<string> =>
      (await run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, ...args], { maxBuffer: 1e9 })).stdout;
    await kubectl('apply', '-f', join(root, 'crds'));
    await kubectl('wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all');
    const deadline = Date.now() + 60_000;
    for (;;) {
      const document = JSON.parse(await kubectl('get', '--raw', '/openapi/v2')) as OpenApi;
      // The document follows the CRDs with a delay.
      if (Object.keys(document.definitions).some((name) => name.includes('istio') && name.endsWith('AuthorizationPolicy'))) {
        use(document);
        return;
      }
      if (Date.now() > deadline) throw new Error('the CRDs are not in the OpenAPI document');
    }
  } finally {
    await plane.stop();
  }
}
