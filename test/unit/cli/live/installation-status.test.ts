import { expect } from 'chai';
import { SLOT_STATEMENT_KEY } from '../../../../src/api/kube/names.ts';
import { BUNDLE_STATEMENT, type Statement } from '../../../../src/bundle/statement.ts';
import { readInstallationStatus } from '../../../../src/cli/live/installation-status.ts';
import { formatInstallationStatus, isHealthy } from '../../../../src/cli/output/installation-status.ts';
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
    const { workloads } = await readInstallationStatus(sessionWith({ objects: { configmaps: [forged, slot('shop')] } }), 'system');

    expect(workloads).to.deep.equal([WEB]);
  });

  it('shows the other workloads when the number of a statement is no time', async () => {
    const forged = slot('tenant', { namespace: 'tenant', number: Number.MAX_SAFE_INTEGER });
    const { workloads } = await readInstallationStatus(sessionWith({ objects: { configmaps: [forged, slot('shop')] } }), 'system');

    expect(workloads).to.deep.equal([
      WEB,
      { workload: 'tenant/deployment/web', pods: 0, agents: 0, bundle: { digest: DIGEST, published: '' } },
    ]);
  });

  it('names the replicas whose last event refuses the configuration, and forgets those that are gone', async () => {
    const nowMs = Date.UTC(2026, 0, 31, 12);
    const event = (replica: string, reason: string, minutesAgo: number, note = ''): RawObject => {
      const eventTime = new Date(nowMs - minutesAgo * 60_000).toISOString();
      return {
        metadata: { namespace: 'system', name: `${replica}-${minutesAgo}` },
        reportingInstance: replica,
        reason,
        note,
        eventTime,
      } as RawObject;
    };
    const old = event('one', 'ConfigurationRejected', 60, 'mesh: bad');
    const repeated = { ...old, series: { count: 2, lastObservedTime: new Date(nowMs - 60_000).toISOString() } };
    const events = [
      repeated,
      event('two', 'ConfigurationRejected', 3),
      event('two', 'ConfigurationAccepted', 2),
      event('gone', 'ConfigurationRejected', 20),
      event('other', 'TwoStreams', 1),
    ];
    const found = await readInstallationStatus(sessionWith({ objects: { events } }), 'system', nowMs);
    const [problem] = found.configurationProblems ?? [];
    expect(found.configurationProblems).to.deep.equal([{ replica: 'one', message: 'mesh: bad', time: '2026-01-31T11:59:00.000Z' }]);
    expect(formatInstallationStatus(found, process.stdout)).to.include(`configuration refused by one at ${problem?.time}: mesh: bad\n`);
    expect([isHealthy(found), isHealthy({ ...found, configurationProblems: [] })]).to.deep.equal([false, true]);
  });
});
