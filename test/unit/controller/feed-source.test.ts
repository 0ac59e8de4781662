import { expect } from 'chai';
import type { JwtRule } from '../../../src/api/istio/resources.ts';
import type { WorkloadRef } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { keySetId } from '../../../src/compile/key-set-id.ts';
import { createFeedSource } from '../../../src/controller/feed-source.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { createWorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { pod } from './pods-and-policies.ts';

const KID = '0123456789abcdef';

describe('what the feed asks of the controller', () => {
  let clusterState: ClusterState;
  let clock: FakeClock;
  let sought: string[];
  let renewed: WorkloadRef[];
  let source: ReturnType<typeof createFeedSource>;
  beforeEach(() => {
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    clock = createFakeClock();
    [sought, renewed] = [[], []];
    const parts = {
      clusterState,
      clock,
      ledger: createWorkloadLedger(),
      jwksCache: {
        seek: (rule: JwtRule, namespace: string, kid: string) => {
          sought.push(`${namespace} ${rule.jwksUri} ${kid}`);
          return 'fetch';
        },
      },
      delivery: { renew: (workload: WorkloadRef) => void renewed.push(workload) },
    } as unknown as Parameters<typeof createFeedSource>[0];
    source = createFeedSource(parts, {} as Parameters<typeof createFeedSource>[1]);
    for (const name of ['web', 'other']) clusterState.pods.upsert(pod({ name, labels: { app: name } }));
  });
  const rule = (name: string): JwtRule => ({ issuer: 'me', jwksUri: `https://keys.example/${name}` });
  const policy = (namespace: string, name: string, app: string | undefined, rules: readonly JwtRule[]): void =>
    clusterState.upsertPolicy({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { namespace, name, generation: 1 },
      spec: { ...(app === undefined ? {} : { selector: { matchLabels: { app } } }), jwtRules: rules },
    });
  const ask = (...rules: readonly JwtRule[]): readonly string[] =>
    source.onUnknownKeys('foo/pod/web', new Map(rules.map((one) => [keySetId(one), KID])));

  it('fetches the sources of all policies of the workload that name it, those of the root namespace too', () => {
    policy('foo', 'own', 'web', [rule('shared'), rule('own')]);
    policy('istio-system', 'root', undefined, [rule('shared')]);
    expect(ask(rule('shared'))).to.deep.equal(['fetch']);
    expect(sought.toSorted()).to.deep.equal([`foo https://keys.example/shared ${KID}`, `istio-system https://keys.example/shared ${KID}`]);
  });

  it('fetches nothing for an agent that claims sources of another workload, or inline keys', () => {
    policy('foo', 'other', 'other', [rule('other')]);
    policy('bar', 'elsewhere', undefined, [rule('elsewhere')]);
    const inline = { issuer: 'me', jwks: '{"keys":[]}' };
    policy('foo', 'inline', 'web', [inline]);
    expect(ask(rule('other'), rule('elsewhere'), inline)).to.deep.equal(['foreign', 'foreign', 'foreign']);
    expect(sought).to.deep.equal([]);
  });

  it('signs the bundle of a workload again for an agent that is ahead, once a minute', () => {
    for (let times = 0; times < 3; times += 1) source.onAhead('foo/pod/web', 7);
    source.onAhead('foo/pod/other', 7);
    clock.advance(60_000);
    source.onAhead('foo/pod/web', 7);
    expect(renewed.map(({ name }) => name)).to.deep.equal(['web', 'other', 'web']);
  });
});
