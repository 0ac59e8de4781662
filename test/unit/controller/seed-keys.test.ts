/* Keys of published bundles at the start of a term. */
import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { seedKeys } from '../../../src/controller/seed-keys.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { createJwksCache } from '../../../src/jwks/jwks-cache.ts';
import { createClusterState } from '../../../src/state/cluster-state.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { SIGNER } from '../../support/signing.ts';

const logger = createLogger({ level: 'silent', component: 'test' });

/** @returns how often the published bundles are listed */
async function listsFor(rule: object): Promise<number> {
  const clock = createFakeClock();
  const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
  clusterState.upsertPolicy({
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { namespace: 'foo', name: 'jwt', generation: 1, uid: 'jwt' },
    spec: { jwtRules: [{ issuer: 'i', ...rule }] },
  });
  const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1, maxRedirects: 0 };
  let lists = 0;
  const list = (): Promise<void> => {
    lists += 1;
    return Promise.resolve();
  };
  const jwksCache = createJwksCache({ limits, clock, random: () => 1, logger });
  const rootNamespace = (): string => 'istio-system';
  await seedKeys({ list, signer: () => SIGNER, clusterState, jwksCache, rootNamespace, clock, logger }, new AbortController().signal);
  return lists;
}

describe('seedKeys', () => {
  it('reads published bundles only if a policy has keys that are fetched', async () => {
    expect(await listsFor({ jwksUri: 'https://a.example/keys' }), 'a URL').to.equal(1);
    expect(await listsFor({}), 'discovery').to.equal(1);
    expect(await listsFor({ jwks: '{"keys":[]}' }), 'inline').to.equal(0);
  });
});
