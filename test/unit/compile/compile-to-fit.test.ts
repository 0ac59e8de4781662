/* Bundles that are too large: with the real budgets, and where the pods of one workload differ. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { policyKey, workloadKey } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { decodeBundle } from '../../../src/bundle/decode.ts';
import { toConfigMapData } from '../../../src/bundle/encode.ts';
import { createBudgets } from '../../../src/compile/budgets.ts';
import { compileLegacy, compileToFit, type FittedBundle, type LegacyCompilation } from '../../../src/compile/compile-to-fit.ts';
import type { CompileInput } from '../../../src/compile/compile-workload.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { podOf } from '../resolve/policies.ts';

const AP = 'AuthorizationPolicy';
const workload = { namespace: 'foo', kind: 'statefulset', name: 'web' };

function policy(name: string, spec: object, namespace = 'foo'): object {
  return { apiVersion: 'security.istio.io/v1', kind: AP, metadata: { name, namespace, generation: 1, uid: name }, spec };
}

function paths(values: readonly string[]): object {
  return { rules: [{ to: [{ operation: { paths: values } }] }] };
}

/** An AUDIT policy of 0.8 MB that compresses to two thirds. */
function incompressible(name: string): object {
  return policy(name, { action: 'AUDIT', ...paths(Array.from({ length: 17_000 }, () => `/${randomBytes(32).toString('base64url')}`)) });
}

/** 1.25 MB of the same values, which compress to nearly nothing. */
function repetitive(name: string): object {
  return policy(name, { action: 'AUDIT', ...paths(Array.from({ length: 17_000 }, (_, at) => `/${'x'.repeat(40)}${at % 10}`)) });
}

const ROOT_DENY = policy('root-deny', { action: 'DENY', ...paths(['/admin*']) }, 'istio-system');

function stateOf(policies: readonly object[], labelSets: readonly Readonly<Record<string, string>>[] = [{ app: 'web' }]): ClusterState {
  const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG, { budgets: createBudgets(() => DEFAULT_MESH_CONFIG) });
  clusterState.replacePolicies(AP, policies);
  labelSets.forEach((labels, at) => clusterState.pods.upsert(podOf('web', labels, { name: `web-${at}` })));
  return clusterState;
}

function inputOf({ selection }: ClusterState): CompileInput {
  return {
    workload,
    labelSets: selection.labelSetsOf(workloadKey(workload)),
    policiesFor: (labels): readonly Policy[] => [...selection.policiesFor('foo', labels).values()],
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  };
}

function compile(clusterState: ClusterState): FittedBundle {
  return compileToFit(inputOf(clusterState));
}

function legacyOf(clusterState: ClusterState): LegacyCompilation {
  return compileLegacy(inputOf(clusterState), compile(clusterState));
}

/** Decodes what would be published, as an agent does. */
function published({ encoded }: FittedBundle): ReturnType<typeof decodeBundle>['bundle'] {
  const data = toConfigMapData(encoded);
  if (data.kind === 'refused') throw new Error(data.finding.message);
  const files = Object.entries(data.data.data).map(([name, text]) => [name, Buffer.from(text)] as const);
  const binary = Object.entries(data.data.binaryData).map(([name, text]) => [name, Buffer.from(text, 'base64')] as const);
  return decodeBundle(Object.fromEntries([...files, ...binary]), workload).bundle;
}

function refused(clusterState: ClusterState): readonly string[] {
  return [...clusterState.policies.values()].filter(({ refusal }) => refusal !== undefined).map(({ name }) => name);
}

describe('a bundle that would be too large', () => {
  it('keeps the policies of the root namespace when two policies of the tenant compress badly', () => {
    const clusterState = stateOf([ROOT_DENY, incompressible('a'), incompressible('b')]);
    const { programs } = published(compile(clusterState));

    expect(refused(clusterState)).to.deep.equal(['b']);
    expect(programs[0]?.http.deny.rules).to.have.length(1);
    expect(programs[0]?.http.audit.rules).to.have.length(1);
  });

  it('is accepted by agents when many policies of the tenant compress well', () => {
    const clusterState = stateOf([ROOT_DENY, ...Array.from({ length: 16 }, (_, at) => repetitive(`p${10 + at}`))]);
    const { programs } = published(compile(clusterState));

    expect(refused(clusterState)).to.include('p25').and.not.include('p10').and.not.include('root-deny');
    expect(programs[0]?.http.deny.rules).to.have.length(1);
  });

  it('keeps the last good version of a policy that grows', () => {
    const clusterState = stateOf([ROOT_DENY, incompressible('a'), policy('b', { action: 'DENY', ...paths(['/secret']) })]);
    const grown = incompressible('b') as { readonly metadata: object; readonly spec: object };
    clusterState.upsertPolicy({ ...grown, metadata: { ...grown.metadata, generation: 2 }, spec: { ...grown.spec, action: 'DENY' } });
    const { programs } = published(compile(clusterState));

    expect(clusterState.policies.get(policyKey(AP, 'foo', 'b'))?.refusal?.message).to.contain('generation 1 stays active');
    expect(programs[0]?.http.deny.rules.map(({ to }) => to[0]?.[0]?.anyOf?.length)).to.deep.equal([1, 1]);
  });

  it('has replacements for the policies of the namespace when its programs do not fit together', () => {
    const versions = Array.from({ length: 8 }, (_, at) => ({ app: 'web', version: `v${at}` }));
    const selectors = versions.map((matchLabels, at) =>
      policy(`v${at}`, { selector: { matchLabels }, action: 'DENY', ...paths([`/${at}`]) }),
    );
    const large = Array.from({ length: 3 }, (_, at) => repetitive(`large${at}`));
    const clusterState = stateOf([ROOT_DENY, ...selectors, ...large, policy('allow', { action: 'ALLOW', rules: [{}] })], versions);
    const compiled = compile(clusterState);
    const { programs } = published(compiled);

    expect(refused(clusterState)).to.deep.equal([]);
    for (const { http } of programs) {
      expect(http.audit).to.deep.equal({ attached: false, rules: [] });
      expect(http.allow).to.deep.equal({ attached: true, rules: [] });
      expect(http.deny.rules.map(({ source, to }) => [source.namespace, to])).to.deep.include(['foo', [[]]]);
      expect(http.deny.rules.some(({ source }) => source.name === 'root-deny')).to.equal(true);
    }
    const over = compiled.findings.filter(({ code }) => code === 'SP_OVER_BUDGET').map((finding) => finding.policy.name);
    expect(over).to.have.members(['allow', ...large.map((_, at) => `large${at}`), ...versions.map((_, at) => `v${at}`)]);
    expect(compiled.selecting.map(({ metadata }) => metadata.name)).to.include.members(['allow', 'large0', 'root-deny']);
  });

  it('has one rule for any number of policies that deny everything instead', () => {
    const tooLarge = { action: 'DENY', ...paths(Array.from({ length: 170_000 }, (_, at) => `/${at}`)) };
    const { programs } = published(compile(stateOf([ROOT_DENY, policy('a', tooLarge), policy('b', tooLarge)])));

    expect(programs[0]?.http.deny.rules.map(({ id }) => id)).to.deep.equal([
      'ns[foo]-policy[a]-rule[0]',
      'ns[istio-system]-policy[root-deny]-rule[0]',
    ]);
  });
});

describe('the bundle of agents of the version before', () => {
  const rootAudit = (): object => ({
    ...incompressible('root-audit'),
    metadata: { name: 'root-audit', namespace: 'istio-system', uid: 'r' },
  });

  it('is the same while one ConfigMap holds it', () => {
    const clusterState = stateOf([ROOT_DENY, incompressible('a')]);
    const { legacy, findings } = legacyOf(clusterState);

    expect(findings).to.deep.equal([]);
    expect(JSON.parse(legacy.json).programs).to.deep.equal(compile(clusterState).bundle.programs);
  });

  it('has what denies at least as much in place of the policies of the namespace when it has two parts', () => {
    const allow = policy('allow', { action: 'ALLOW', ...paths(['/a']) });
    const clusterState = stateOf([ROOT_DENY, rootAudit(), incompressible('a'), allow]);
    const { legacy, findings } = legacyOf(clusterState);
    const [program] = JSON.parse(legacy.json).programs;

    expect(refused(clusterState)).to.deep.equal([]);
    expect(toConfigMapData(legacy).kind).to.equal('data');
    expect(program.http.deny.rules.map(({ source }: { source: { name: string } }) => source.name)).to.include('root-deny');
    expect(program.http.audit.rules.map(({ source }: { source: { name: string } }) => source.name)).to.deep.equal(['root-audit']);
    expect(program.http.allow).to.deep.include({ rules: [] });
    expect(findings.map(({ code, policy: { name } }) => `${code} ${name}`).sort()).to.deep.equal([
      'SP_OVER_BUDGET a',
      'SP_OVER_BUDGET allow',
    ]);
    expect(findings[0]?.message).to.match(/^agents of the version before read at most one ConfigMap/);
  });
});
