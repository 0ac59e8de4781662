/* Compiling the policies of one workload to its bundle. */

import { expect } from 'chai';
import fc from 'fast-check';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type ExtensionProvider } from '../../../src/api/mesh-config.ts';
import { decodeBundle } from '../../../src/bundle/decode.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import { type CompileInput, type CompileResult, compileWorkload } from '../../../src/compile/compile-workload.ts';
import { keySetId } from '../../../src/compile/key-set-id.ts';
import type { CustomStep } from '../../../src/policy/model/program.ts';
import { selectFrom } from '../../support/select-policies.ts';
import { allow, tokens } from '../resolve/policies.ts';

const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
const remote = { source: 'https://a/keys', keys: [{ kty: 'RSA', n: 'x', e: 'AQAB' }] };

function compile(policies: readonly Policy[], more: Partial<CompileInput> = {}): CompileResult {
  return compileWorkload({
    workload,
    labelSets: [{ app: 'httpbin' }],
    policiesFor: selectFrom(policies),
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
    ...more,
  });
}

const get = { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };

describe('compileWorkload', () => {
  it('returns a bundle that agents accept, with and without policies', () => {
    for (const policies of [[], [allow('p', {}, get), tokens('ra', [{ issuer: 'i' }])]]) {
      const { bundle } = compile(policies);
      const encoded = encodeBundle(bundle);

      expect(bundle).to.deep.include({ workload, relevantLabels: [], variants: [{ labels: {}, program: 0 }] });
      const files = { 'bundle.json': Buffer.from(encoded.json), 'bundle.sha256': Buffer.from(encoded.digest) };
      expect(decodeBundle(files, workload).bundle).to.deep.equal(bundle);
    }
  });

  it('has a program for each group of pods that selectors distinguish, and equal programs once', () => {
    const policies = [allow('v1', { labels: { version: 'v1' } }, get)];
    const { bundle, selecting } = compile(policies, { labelSets: [{ version: 'v1' }, { version: 'v2' }, { version: 'v3' }] });

    expect(bundle.relevantLabels).to.deep.equal(['version']);
    expect(bundle.variants).to.deep.equal([
      { labels: { version: 'v1' }, program: 0 },
      { labels: { version: 'v2' }, program: 1 },
      { labels: { version: 'v3' }, program: 1 },
    ]);
    expect(bundle.programs).to.have.length(2);
    expect(selecting).to.deep.equal(policies);
  });

  it('contains the key sets of the policies that select the workload, and no others', () => {
    const rule = { issuer: 'i', jwksUri: 'https://a/keys' };
    const other = { issuer: 'j', jwksUri: 'https://b/keys' };
    const { bundle } = compile([tokens('a', [rule]), tokens('b', [other], { labels: { app: 'other' } })], { keySetOf: () => remote });

    expect(bundle.keySets).to.deep.equal({ [keySetId(rule)]: remote });
    expect(bundle.programs[0]?.providers.map(({ keySet }) => keySet)).to.deep.equal([keySetId(rule)]);
  });

  it('keeps a rule without keys and reports it for its policy', () => {
    const { bundle, findings } = compile([tokens('ra', [{ issuer: 'i', jwksUri: 'https://a/keys' }])]);

    expect(bundle.programs[0]?.providers).to.have.length(1);
    expect(bundle.keySets).to.deep.equal({});
    expect(findings.map(({ code, policy }) => [code, policy.name])).to.deep.equal([['SP_JWKS_UNAVAILABLE', 'ra']]);
  });

  it('does not change when a policy is added that selects other workloads', () => {
    const before = compile([allow('p', {}, get)]);
    const after = compile([allow('p', {}, get), allow('q', { labels: { app: 'sleep' } }, { action: 'DENY', rules: [{}] })]);

    expect(encodeBundle(after.bundle)).to.deep.equal(encodeBundle(before.bundle));
  });

  it('reports each finding once when there are several variants', () => {
    const bad = allow('bad', {}, { rules: [{ to: [{ operation: { ports: ['x'] } }] }] });
    const split = allow('split', { labels: { version: 'v1' } }, get);
    const { findings } = compile([bad, split], { labelSets: [{ version: 'v1' }, { version: 'v2' }] });

    expect(findings.filter(({ policy }) => policy.name === 'bad')).to.have.length.greaterThan(0);
    expect(new Set(findings.map((finding) => JSON.stringify(finding))).size).to.equal(findings.length);
  });

  it('returns the same bytes for every order of policies and pods', () => {
    const policies: readonly Policy[] = [
      allow('a', { labels: { version: 'v1' } }, get),
      allow('b', {}, { action: 'DENY', rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/8'] } }] }] }),
      allow('c', { namespace: 'istio-system' }, get),
      tokens('d', [{ issuer: 'i', jwksUri: 'https://a/keys' }]),
      tokens('e', [{ issuer: 'i', audiences: ['x'] }, { issuer: 'h' }], { namespace: 'istio-system' }),
    ];
    const labelSets = [{ version: 'v1' }, { version: 'v2' }, { version: 'v2', x: 'y' }, {}];
    const expected = compile(policies, { labelSets, keySetOf: () => remote });

    fc.assert(
      fc.property(
        fc.shuffledSubarray([...policies], { minLength: policies.length }),
        fc.shuffledSubarray(labelSets, { minLength: labelSets.length }),
        (somePolicies, someSets) => {
          const { bundle, findings } = compile(somePolicies, { labelSets: someSets, keySetOf: () => remote });
          expect(encodeBundle(bundle)).to.deep.equal(encodeBundle(expected.bundle));
          expect(findings).to.deep.equal(expected.findings);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('compileWorkload, about secrets of the mesh', () => {
  const provider: ExtensionProvider = {
    name: 'ext',
    protocol: 'http',
    service: 'ext.auth',
    port: 80,
    timeoutMs: 1_000,
    failOpen: true,
    statusOnError: 403,
    includeAdditionalHeadersInCheck: { authorization: 'Bearer of-the-mesh', 'x-source': 'mesh' },
  };
  const mesh = { ...DEFAULT_MESH_CONFIG, extensionProviders: [provider] };
  const custom = allow('ask', {}, { action: 'CUSTOM', provider: { name: 'ext' }, rules: [{}] });
  const stepsOf = ({ bundle }: CompileResult): readonly CustomStep[] => bundle.programs[0]?.http.custom ?? [];

  it('denies instead of publishing header values to another namespace', () => {
    const compiled = compile([custom], { mesh });
    expect(JSON.stringify(compiled.bundle)).not.to.include('of-the-mesh');
    expect(stepsOf(compiled).map(({ provider: called, refusal, rules }) => [called, refusal, rules.length])).to.deep.equal([
      [undefined, 'header values of extension provider ext are not published to this namespace', 1],
    ]);
    expect(compiled.findings.map(({ code, path }) => [code, path])).to.deep.equal([['SP_SECRET', 'spec.provider.name']]);
  });

  it('calls a provider whose header values are all public', () => {
    expect(stepsOf(compile([custom], { mesh: { ...mesh, publicCheckHeaders: ['Authorization', 'X-Source'] } }))[0]?.provider).to.deep.equal(
      provider,
    );
    expect(stepsOf(compile([custom], { mesh: { ...mesh, publicCheckHeaders: ['x-source'] } }))[0]?.provider).to.equal(undefined);
  });

  it('calls the provider in the root namespace, and from bundles that are not published', () => {
    const root = { ...workload, namespace: 'istio-system' };
    expect(stepsOf(compile([custom], { mesh, isLocal: true }))[0]?.provider).to.deep.equal(provider);
    expect(stepsOf(compile([custom], { mesh, workload: root, policiesFor: () => [custom] }))[0]?.provider).to.deep.equal(provider);
  });
});
