/* Writes on a real API server: delete, annotations and status, and missing permissions. */
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { deleteObject, patchAnnotations, readObject } from '../../src/cluster/objects.ts';
import { CONFIG_MAPS, collectionPath, objectPath, PODS } from '../../src/cluster/paths.ts';
import { mergePatchStatus, type StatusCondition } from '../../src/cluster/status.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { until } from '../support/fake-clock.ts';

const FIELD_MANAGER = 'sallyport-controller';

async function create(client: KubeClient, namespace: string, name: string): Promise<RawObject> {
  const { json } = await client.request({ method: 'POST', path: collectionPath(CONFIG_MAPS, namespace), body: { metadata: { name } } });
  return json as RawObject;
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (thrown) {
    return (thrown as { code?: unknown }).code;
  }
  return 'no error';
}

describe('writes on a real API server', function () {
  let controlPlane: ControlPlane;
  let client: KubeClient;

  before(async () => {
    controlPlane = await startControlPlane({ controllerManager: true });
    client = createKubeClient({ kubeconfig: controlPlane.kubeconfigPath, version: 'test', qps: 1_000, burst: 1_000 });
  });

  after(async () => {
    await client.close();
    await controlPlane.stop();
  });

  it('reports NOT_FOUND for a missing or terminating namespace', async () => {
    const into = (namespace: string): Promise<unknown> => create(client, namespace, 'x');
    expect(await codeOf(into('missing'))).to.equal('SP_KUBE_NOT_FOUND');

    await client.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: 'leaving' } } });
    const held = { metadata: { name: 'held', finalizers: ['example.com/hold'] } };
    await client.request({ method: 'POST', path: collectionPath(CONFIG_MAPS, 'leaving'), body: held });
    await client.request({ method: 'DELETE', path: '/api/v1/namespaces/leaving' });
    await until(async () => (await codeOf(into('leaving'))) !== 'no error', 'the namespace to close', 20_000);
    expect(await codeOf(into('leaving'))).to.equal('SP_KUBE_NOT_FOUND');
  });

  it('deletes only the object with the given UID, and returns false when it does not exist', async () => {
    const ref = { resource: CONFIG_MAPS, namespace: 'default', name: 'doomed' };
    const { metadata } = await create(client, 'default', 'doomed');

    expect(await codeOf(deleteObject(client, ref, { uid: '00000000-0000-0000-0000-000000000000' }))).to.equal('SP_KUBE_CONFLICT');
    expect(await codeOf(deleteObject(client, ref, { resourceVersion: '1' }))).to.equal('SP_KUBE_CONFLICT');
    expect(await deleteObject(client, ref, metadata?.uid === undefined ? {} : { uid: metadata.uid })).to.equal(true);
    expect(await deleteObject(client, ref)).to.equal(false);
  });

  it('patches only the annotations of a pod', async () => {
    const ref = { resource: PODS, namespace: 'default', name: 'touched' };
    const body = {
      metadata: { name: 'touched', annotations: { kept: 'yes', gone: 'soon' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    await client.request({ method: 'POST', path: collectionPath(PODS, 'default'), body });

    expect(
      await patchAnnotations(client, ref, { 'sallyport.dev/bundle-digest': 'abc', gone: null }, { fieldManager: FIELD_MANAGER }),
    ).to.equal(true);
    expect((await readObject(client, ref))?.metadata?.annotations).to.deep.equal({ kept: 'yes', 'sallyport.dev/bundle-digest': 'abc' });
    expect(await patchAnnotations(client, { ...ref, name: 'nobody' }, { a: 'b' }, { fieldManager: FIELD_MANAGER })).to.equal(false);
  });

  it('merges conditions into a status, writes only changes, and retries after a concurrent write', async () => {
    const ref = { resource: PODS, namespace: 'default', name: 'with-status' };
    const body = { metadata: { name: 'with-status' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await client.request({ method: 'POST', path: collectionPath(PODS, 'default'), body });
    const stranger = { type: 'Strange', status: 'True', lastTransitionTime: '2025-01-01T00:00:00Z' };
    await client.request({
      method: 'PATCH',
      path: `${objectPath(ref)}/status`,
      contentType: 'application/merge-patch+json',
      body: { status: { conditions: [stranger] } },
    });
    const stale = await readObject(client, ref);
    await patchAnnotations(client, ref, { moved: 'on' }, { fieldManager: FIELD_MANAGER });
    const accepted: StatusCondition = { type: 'Accepted', status: 'True', reason: 'Valid', message: 'ok' };
    const write = { ref, fieldManager: FIELD_MANAGER, intend: () => ({ conditions: [accepted] }) };

    expect(await mergePatchStatus(client, { ...write, ...(stale === undefined ? {} : { current: stale }) })).to.equal('updated');
    const after = await readObject(client, ref);
    const { conditions } = (after?.['status'] ?? { conditions: [] }) as { conditions: RawObject[] };
    expect(conditions.map((condition) => condition['type'])).to.deep.equal(['Strange', 'Accepted']);
    expect(conditions[0]).to.include(stranger);

    expect(await mergePatchStatus(client, write)).to.equal('unchanged');
    expect((await readObject(client, ref))?.metadata?.resourceVersion).to.equal(after?.metadata?.resourceVersion);
    expect(await mergePatchStatus(client, { ...write, ref: { ...ref, name: 'nobody' } })).to.equal('gone');
  });

  it('reports a missing permission for each kind of write', async () => {
    const nobody = createKubeClient({ kubeconfig: await controlPlane.kubeconfigAs('nobody'), version: 'test' });
    const ref = { resource: CONFIG_MAPS, namespace: 'default', name: 'same' };
    const codes = await Promise.all([
      codeOf(create(nobody, 'default', 'same')),
      codeOf(deleteObject(nobody, ref)),
      codeOf(patchAnnotations(nobody, ref, { a: 'b' }, { fieldManager: FIELD_MANAGER })),
      codeOf(readObject(nobody, ref)),
    ]);
    await nobody.close();

    expect(codes).to.deep.equal(Array.from({ length: 4 }, () => 'SP_KUBE_FORBIDDEN'));
  });
});
