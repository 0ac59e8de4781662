import { expect } from 'chai';
import { SLOT_STATEMENT_KEY } from '../../../../src/api/kube/names.ts';
import { BUNDLE_STATEMENT, type Statement } from '../../../../src/bundle/statement.ts';
import { readInstallationStatus } from '../../../../src/cli/live/installation-status.ts';
import type { RawObject } from '../../../../src/cluster/kube-object.ts';
import { sessionWith } from '../../../support/live-session.ts';
import { SIGNER } from '../../../support/signing.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const PUBLISHED = Date.UTC(2026, 0, 31);

/** A ConfigMap in `namespace` with a statement about `shop/deployment/web`. */
function slot(namespace: string, over: Partial<Statement> = {}): RawObject {
  const jws = SIGNER.sign({
    schema: BUNDLE_STATEMENT,
    namespace: 'shop',
    workload: { kind: 'deployment', name: 'web' },
    number: PUBLISHED,
    digest: DIGEST,
    size: 1,
    encoding: 'identity',
    parts: [{ digest: DIGEST, size: 1 }],
    ...over,
  });
  return { metadata: { namespace, name: 'sallyport-bundle-deployment.web.0' }, data: { [SLOT_STATEMENT_KEY]: jws } } as RawObject;
}

const WEB = { workload: 'shop/deployment/web', pods: 0, agents: 0, bundle: { digest: DIGEST, published: '2026-01-31T00:00:00.000Z' } };

describe('status of an installation', () => {
  it('takes no statement from another namespace', async () => {
    const forged = slot('tenant', { number: PUBLISHED + 1, digest: `sha256:${'b'.repeat(64)}` });
    const { workloads } = await readInstallationStatus(sessionWith({ objects: { configmaps: [forged, slot('shop')] } }));

    expect(workloads).to.deep.equal([WEB]);
  });

  it('shows the other workloads when the number of a statement is no time', async () => {
    const forged = slot('tenant', { namespace: 'tenant', number: Number.MAX_SAFE_INTEGER });
    const { workloads } = await readInstallationStatus(sessionWith({ objects: { configmaps: [forged, slot('shop')] } }));

    expect(workloads).to.deep.equal([
      WEB,
      { workload: 'tenant/deployment/web', pods: 0, agents: 0, bundle: { digest: DIGEST, published: '' } },
    ]);
  });
});
