/*
 * What every condition on a peer means when the agent does not know who the peer is, with identities by the addresses of pods: it fails under
 * ALLOW and holds under DENY, AUDIT and dry-run DENY, whether it is positive or negative. For known peers nothing changes.
 */
import { expect } from 'chai';
import type { AuthorizationPolicy } from '../../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../../src/api/mesh-config.ts';
import { connectionFacts } from '../../../../src/filters/request-facts.ts';
import { createEvaluator } from '../../../../src/policy/decide/evaluator.ts';
import type { ConnectionFacts } from '../../../../src/policy/facts.ts';
import { lowerPolicies } from '../../../../src/policy/lower/lower-policies.ts';
import { createRandom } from '../../../fuzz/random.ts';
import { SEED } from '../../../support/seed.ts';

const FRIEND = 'spiffe://cluster.local/ns/shop/sa/friend';
const CONNECTION: ConnectionFacts = { sourceIp: '10.0.0.9', destinationIp: '10.0.0.1', destinationPort: 80, sni: '', tls: false };
const known = (uri: string): ConnectionFacts => ({ ...CONNECTION, peer: { uris: [uri], dnsNames: [], subject: '' } });

type Rule = NonNullable<AuthorizationPolicy['spec']['rules']>[number];
type Decide = (connection: ConnectionFacts) => { readonly allowed: boolean; readonly audit?: boolean | undefined };

function decideWith(action: 'ALLOW' | 'DENY' | 'AUDIT', rules: readonly Rule[], podIP: boolean): Decide {
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'foo', name: 'p', annotations: {}, labels: {} },
    spec: { action, rules },
  } as unknown as AuthorizationPolicy;
  const mesh = { ...DEFAULT_MESH_CONFIG, peerIdentity: { podIP } };
  const { program } = lowerPolicies({ namespace: 'foo', policies: [policy], mesh, keySetId: () => '' });
  const evaluator = createEvaluator(program);
  return (connection) => evaluator.decide(connectionFacts(connection), 'tcp');
}

const FIELDS = ['principals', 'namespaces', 'serviceAccounts', 'trustDomains'] as const;
const VALUE = {
  principals: 'cluster.local/ns/shop/sa/friend',
  namespaces: 'shop',
  serviceAccounts: 'shop/friend',
  trustDomains: 'cluster.local',
};
const KEYS = {
  principals: 'source.principal',
  namespaces: 'source.namespace',
  serviceAccounts: 'source.serviceAccount',
  trustDomains: 'source.trustDomain',
};

describe('conditions on a peer that is unknown', () => {
  for (const field of FIELDS) {
    const negative = `not${field[0]?.toUpperCase()}${field.slice(1)}`;
    const rules: Readonly<Record<string, Rule>> = {
      [field]: { from: [{ source: { [field]: [VALUE[field]] } }] },
      [negative]: { from: [{ source: { [negative]: [VALUE[field]] } }] },
      [`when ${KEYS[field]} values`]: { when: [{ key: KEYS[field], values: [VALUE[field]] }] },
      [`when ${KEYS[field]} notValues`]: { when: [{ key: KEYS[field], notValues: [VALUE[field]] }] },
    } as Readonly<Record<string, Rule>>;
    for (const [name, rule] of Object.entries(rules)) {
      it(`fail in ALLOW and hold in DENY and AUDIT: ${name}`, () => {
        expect(decideWith('ALLOW', [rule], true)(CONNECTION).allowed).to.equal(false);
        expect(decideWith('DENY', [rule], true)(CONNECTION).allowed).to.equal(false);
        expect(decideWith('AUDIT', [rule], true)(CONNECTION).audit).to.equal(true);
      });
    }
  }

  it('leave other entries and other conditions alone', () => {
    const byAddress = [{ source: { namespaces: ['shop'] } }, { source: { ipBlocks: ['10.0.0.9'] } }];
    expect(decideWith('ALLOW', [{ from: byAddress }], true)(CONNECTION).allowed).to.equal(true);
    const both = [{ source: { namespaces: ['shop'], ipBlocks: ['192.0.2.0/24'] } }];
    expect(decideWith('DENY', [{ from: both }], true)(CONNECTION).allowed).to.equal(true);
    expect(decideWith('DENY', [{ from: both }], true)({ ...CONNECTION, sourceIp: '192.0.2.7' }).allowed).to.equal(false);
  });

  it('are as in Istio without identities by address', () => {
    const [positive, negative] = [{ from: [{ source: { namespaces: ['shop'] } }] }, { from: [{ source: { notNamespaces: ['shop'] } }] }];
    expect(decideWith('DENY', [positive], false)(CONNECTION).allowed).to.equal(true);
    expect(decideWith('ALLOW', [negative], false)(CONNECTION).allowed).to.equal(true);
  });

  it('change nothing for known peers, in rules drawn at random', () => {
    const random = createRandom(SEED);
    const draw = { ...random, chance: (share: number): boolean => random.next() < share };
    const values = ['shop', 'bar', '*'];
    for (let round = 0; round < 40; round += 1) {
      const source = (): object => ({
        ...(draw.chance(0.6) ? { namespaces: [draw.pick(values)] } : {}),
        ...(draw.chance(0.4) ? { notNamespaces: [draw.pick(values)] } : {}),
        ...(draw.chance(0.3) ? { ipBlocks: [draw.pick(['10.0.0.9', '192.0.2.1'])] } : {}),
        ports: undefined,
      });
      const rules = Array.from({ length: 1 + draw.below(3) }, () => ({
        from: Array.from({ length: 1 + draw.below(3) }, () => ({ source: { ...source(), principals: ['cluster.local/*'] } })),
        ...(draw.chance(0.4)
          ? { when: [{ key: 'source.trustDomain', [draw.chance(0.5) ? 'values' : 'notValues']: ['cluster.local'] }] }
          : {}),
      })) as unknown as readonly Rule[];
      const action = draw.pick(['ALLOW', 'DENY'] as const);
      for (const uri of [FRIEND, 'spiffe://cluster.local/ns/bar/sa/other', 'spiffe://other/ns/shop/sa/friend']) {
        const [strict, plain] = [true, false].map((podIP) => decideWith(action, rules, podIP)(known(uri)).allowed);
        expect(strict, JSON.stringify([action, rules, uri])).to.equal(plain);
      }
      // Unknown never gets more than anyone who is known.
      if (action === 'ALLOW' && decideWith(action, rules, true)(CONNECTION).allowed) throw new Error(JSON.stringify(rules));
    }
  });
});
