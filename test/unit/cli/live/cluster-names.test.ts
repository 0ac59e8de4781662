import { expect } from 'chai';
import { runCommand } from '../../../support/cli-context.ts';
import { answerStatus, type FakeApiServer, startFakeApiServer } from '../../../support/fake-api-server.ts';

describe('completion of names in a cluster', () => {
  let server: FakeApiServer;
  beforeEach(async () => {
    server = await startFakeApiServer();
  });
  afterEach(() => server.stop());

  const offered = async (...words: readonly string[]): Promise<readonly string[]> => {
    const { exitCode, stdout, stderr } = await runCommand(['__complete', 'bundle', 'show', '--kubeconfig', server.kubeconfig, ...words]);
    expect([exitCode, stderr]).to.deep.equal([0, '']);
    return stdout.trimEnd().split('\n');
  };

  it('offers pods and workloads, and reads metadata only', async () => {
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-6b8c9f', uid: '1', controller: true }];
    server.put({ metadata: { namespace: 'shop', name: 'web-6b8c9f-x', labels: { 'pod-template-hash': '6b8c9f' }, ownerReferences } });
    server.put({ metadata: { namespace: 'shop', name: 'bare' } });

    // Names that take longer than a person waits are not offered, so that a slow machine asks again.
    const names = ['web-6b8c9f-x', 'deployment/web', 'bare'];
    for (let words: readonly string[] = []; !names.every((name) => words.includes(name)); ) words = await offered('-n', 'shop', '');
    const lists = server.requests.filter(({ path }) => path === '/api/v1/namespaces/shop/pods');
    expect(new Set(lists.map(({ headers }) => headers.accept))).to.deep.equal(
      new Set(['application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1']),
    );
  });

  it('offers no name when the cluster refuses the list', async () => {
    server.put({ metadata: { namespace: 'shop', name: 'bare' } });
    server.fault = (_request, response) => answerStatus(response, 403, 'Forbidden');

    expect(await offered('-n', 'shop', '')).to.not.include('bare');
  });
});
