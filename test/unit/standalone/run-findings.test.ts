/* Findings of a directory of manifests, with positions, and the check at the start. */
import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { RefusedError } from '../../../src/errors.ts';
import type { KeyState } from '../../../src/jwks/jwks-cache.ts';
import { originsOf, requireValidStart, runFindings } from '../../../src/standalone/run-findings.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { type KubeManifest, manifestError } from '../../../src/state/manifests.ts';
import { createWorkloadLedger } from '../../../src/status/workload-ledger.ts';

const KEY = 'AuthorizationPolicy/foo/p';

function policy(ipBlock: string): KubeManifest {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'foo' },
    spec: { rules: [{ from: [{ source: { ipBlocks: [ipBlock] } }] }] },
  };
}

describe('runFindings', () => {
  let keyState: KeyState = { kind: 'inline' };
  const jwksCache = { stateOf: () => keyState };
  const origins = originsOf([{ object: policy('10.0.0.1'), origin: { file: 'a.yaml', line: 3 } }]);
  let clusterState: ClusterState;
  beforeEach(() => {
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
  });

  it('returns findings of files, of policies and of compiling them, with positions', () => {
    const ledger = createWorkloadLedger();
    const warning = { code: 'SP_JWKS', severity: 'warning', path: 'spec', message: 'no keys' } as const;
    ledger.desire('foo/web', { policies: new Map(), findings: new Map([[KEY, [warning]]]) });
    clusterState.upsertPolicy(policy('nonsense'));
    const ofFiles = [manifestError({ file: 'b.yaml', line: 1 }, 'not YAML')];

    const found = runFindings({ clusterState, ledger, jwksCache, ofFiles, origins });
    expect(found[0]).to.include({ policy: '', message: 'not YAML' });
    expect(found[1]).to.deep.include({ policy: KEY, severity: 'error', origin: { file: 'a.yaml', line: 3 } });
    expect(found.at(-1)).to.deep.equal({ ...warning, policy: KEY, origin: { file: 'a.yaml', line: 3 } });
  });

  it('returns missing and outdated keys of a JWT rule, and keys that are not used, with the reason', () => {
    const url = 'https://idp/keys';
    const jwt = { ...policy(''), kind: 'RequestAuthentication', spec: { jwtRules: [{ issuer: 'me', jwksUri: url }] } };
    clusterState.upsertPolicy(jwt);
    const found = (state: KeyState): readonly string[] => {
      keyState = state;
      const sources = { clusterState, ledger: createWorkloadLedger(), jwksCache, ofFiles: [], origins };
      return runFindings(sources).map(({ code, path, message }) => `${code} ${path}: ${message}`);
    };

    expect(found({ kind: 'fresh', url, leftOut: ['keys[1]: odd'] })).to.deep.equal([
      'SP_JWKS spec.jwtRules[0]: keys of the fetched set are not used: keys[1]: odd',
    ]);
    expect(found({ kind: 'stale', url, reason: 'idp is down' })).to.deep.equal(['SP_JWKS_FETCH spec.jwtRules[0]: idp is down']);
    expect(found({ kind: 'unavailable', url, reason: 'no such host' })).to.deep.equal([
      'SP_JWKS_UNAVAILABLE spec.jwtRules[0]: no such host',
    ]);
    for (const state of [{ kind: 'fresh', url, leftOut: [] }, { kind: 'pending', url }, { kind: 'inline' }] as const) {
      expect(found(state), state.kind).to.deep.equal([]);
    }
  });

  it('rejects a start with an invalid file', () => {
    const found = runFindings({
      clusterState,
      ledger: createWorkloadLedger(),
      jwksCache,
      ofFiles: [manifestError({ file: 'b.yaml', line: 1 }, 'not YAML')],
      origins,
    });
    expect(() => requireValidStart(clusterState, found))
      .to.throw(RefusedError, 'b.yaml:1: not YAML')
      .with.property('code', 'SP_MANIFEST');
  });

  it('accepts a start with warnings only', () => {
    clusterState.upsertPolicy(policy('10.0.0.1'));
    requireValidStart(clusterState, runFindings({ clusterState, ledger: createWorkloadLedger(), jwksCache, ofFiles: [], origins }));
  });
});
