/*
 * The DaemonSet of the chart that redirects connections: its rights and no more, its place, and what Helm refuses.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { type Fields, fieldsOf, itemsOf } from '../../src/api/kube/pod-fields.ts';
import { loadNodeConfig } from '../../src/config/node.ts';
import { binaryPath, build } from '../cluster/build.ts';

const run = promisify(execFile);
const chart = new URL('../../charts/sallyport/', import.meta.url).pathname;

async function render(...sets: readonly string[]): Promise<readonly Fields[]> {
  const args = ['template', 'sallyport', chart, '--namespace', 'sallyport-system', ...sets.flatMap((text) => ['--set', text])];
  const { stdout } = await run(binaryPath('helm'), args, { maxBuffer: 1e8 });
  return parseAllDocuments(stdout)
    .map((document) => fieldsOf(document.toJS()))
    .filter(({ kind }) => kind !== undefined);
}

const labelOf = ({ metadata }: Fields): unknown => fieldsOf(fieldsOf(metadata)['labels'])['app.kubernetes.io/component'];
const refusalOf = (...sets: readonly string[]): Promise<string> =>
  render(...sets).then(
    () => 'rendered',
    ({ stderr }: { readonly stderr: string }) => stderr,
  );

describe('the chart: capture.mode', function () {
  this.timeout(1_200_000);
  let own: readonly Fields[];
  let pod: Fields;

  before(async () => {
    await build('integration');
    own = (await render('capture.mode=node')).filter((object) => labelOf(object) === 'node');
    const daemonSet = own.find(({ kind }) => kind === 'DaemonSet') ?? {};
    pod = fieldsOf(fieldsOf(fieldsOf(daemonSet['spec'])['template'])['spec']);
  });

  it('adds nothing by default', async () => {
    expect((await render()).filter((object) => labelOf(object) === 'node')).to.deep.equal([]);
  });

  it('keeps the DaemonSet for pods that were injected before, whatever new pods get', async () => {
    const kept = await render('capture.mode=pod', 'capture.node.keep=true');

    expect(kept.filter((object) => labelOf(object) === 'node')).to.deep.equal(own);
    expect(JSON.stringify(kept.filter(({ kind }) => kind === 'ConfigMap'))).to.contain('captureMode: pod');
  });

  it('adds a DaemonSet in a separate namespace, and a role that reads pods', () => {
    expect(own.map(({ kind }) => kind)).to.have.members(['Namespace', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'DaemonSet']);
    const namespaces = own.map(({ metadata }) => fieldsOf(metadata)['namespace']).filter((name) => name !== undefined);
    expect(new Set(namespaces)).to.deep.equal(new Set(['sallyport-node']));
    const [role] = own.filter(({ kind }) => kind === 'ClusterRole');
    expect(role?.['rules']).to.deep.equal([{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }]);
  });

  it('gives the DaemonSet three capabilities and one directory of the node, and nothing else of it', () => {
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace']) expect(pod, field).to.not.have.property(field);
    const [container = {}, ...rest] = itemsOf(pod['containers']);
    expect(rest).to.deep.equal([]);
    expect(container['securityContext']).to.deep.equal({
      allowPrivilegeEscalation: false,
      capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: 0,
      runAsUser: 0,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(itemsOf(pod['volumes']).flatMap(({ hostPath }) => (hostPath === undefined ? [] : [hostPath]))).to.deep.equal([
      { path: '/var/run/netns', type: 'DirectoryOrCreate' },
    ]);
    expect(itemsOf(container['volumeMounts'])[0]).to.deep.include({ mountPropagation: 'HostToContainer', readOnly: true });
  });

  it('configures it with valid settings, in the image of the redirect', () => {
    const [container = {}] = itemsOf(pod['containers']);
    const env = Object.fromEntries(itemsOf(container['env']).map(({ name, value }) => [name, value])) as Record<string, string | undefined>;

    expect(loadNodeConfig({ ...env, NODE_NAME: 'node1' })).to.deep.include({ netnsDirectory: '/run/sallyport/netns', httpPort: 8081 });
    expect(container['image']).to.match(/\/sallyport\/redirect:/);
  });

  it('refuses what cannot work together, with the reason', async () => {
    expect(
      await refusalOf('capture.mode=node', 'watchNamespaces={shop}', 'webhook.injection.enabled=false', 'webhook.validation.enabled=false'),
    ).to.contain('capture.mode: node needs a DaemonSet that watches the pods of its node in all namespaces');
    expect(await refusalOf('capture.node.keep=true', 'capture.node.namespace=sallyport-system')).to.contain(
      'must not be the namespace of the release',
    );
    expect(await refusalOf('capture.mode=node', 'capture.node.namespace=sallyport-system')).to.contain(
      'must not be the namespace of the release',
    );
    expect(await refusalOf('capture.mode=host')).to.contain('capture');
    expect(await refusalOf('capture.node.netnsDirectory=run/netns')).to.contain('netnsDirectory');
  });
});
