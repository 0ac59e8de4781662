import { expect } from 'chai';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { generateRequests as generate } from '../../../src/explain/generate-requests.ts';
import type { GeneratedRequest } from '../../../src/explain/generated-request.ts';
import { lowerPolicies } from '../../../src/policy/lower/lower-policies.ts';
import type { Program } from '../../../src/policy/model/program.ts';

function program(): Program {
  const { value } = parsePolicy({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'a', namespace: 'foo' },
    spec: {
      rules: [
        {
          from: [{ source: { requestPrincipals: ['me/bob'], ipBlocks: ['10.1.0.0/16'], serviceAccounts: ['foo/web'] } }],
          to: [{ operation: { methods: ['PUT'], paths: ['/a/*', '/t/{*}/end'], hosts: ['*.example'], ports: ['8080'] } }],
          when: [
            { key: 'request.headers[x-tenant]', values: ['red'] },
            { key: 'request.auth.claims[a][b]', notValues: ['deep'] },
          ],
        },
      ],
    },
  });
  return lowerPolicies({
    namespace: 'foo',
    policies: value === undefined ? [] : [value],
    mesh: DEFAULT_MESH_CONFIG,
    keySetId: () => 'none',
  }).program;
}

function generateRequests(programs: readonly Program[], count: number, seed: number): readonly GeneratedRequest[] {
  return [...generate(programs, count, seed)];
}

describe('generateRequests', () => {
  it('uses every value of the rules, positive and negative', () => {
    const text = JSON.stringify(generateRequests([program()], 300, 1));

    for (const value of [
      '"PUT"',
      '/a/x1',
      '/t/x1/end',
      'x1.example',
      '8080',
      '10.1.0.0',
      'spiffe://cluster.local/ns/foo/sa/web',
      '"red"',
      '"bob"',
      '"deep"',
    ]) {
      expect(text).to.include(value);
    }
  });

  it('leaves out each optional member in some requests', () => {
    const requests = generateRequests([program()], 300, 1);

    for (const member of ['claims', 'host', 'sourceIp', 'peer', 'port'] as const) {
      expect(requests.filter((request) => request[member] === undefined)).to.not.have.length(0);
    }
  });

  it('returns the same requests for the same seed, and others for another seed', () => {
    expect(generateRequests([program()], 50, 3)).to.deep.equal(generateRequests([program()], 50, 3));
    expect(generateRequests([program()], 50, 3)).to.not.deep.equal(generateRequests([program()], 50, 4));
  });

  it('returns plain requests when there are no rules', () => {
    const empty = lowerPolicies({ namespace: 'foo', policies: [], mesh: DEFAULT_MESH_CONFIG, keySetId: () => 'none' }).program;

    for (const request of generateRequests([empty], 20, 1)) expect(Object.keys(request)).to.have.members(['method', 'path', 'headers']);
  });
});
