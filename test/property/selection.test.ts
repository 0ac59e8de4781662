/* Selection equals a scan of all policies and pods after any sequence of changes. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { AuthorizationPolicy, Policy } from '../../src/api/istio/resources.ts';
import { type PolicyKey, policyKeyOf, type WorkloadKey, workloadKey } from '../../src/api/kube/keys.ts';
import { GATEWAY_NAME_LABEL } from '../../src/api/kube/names.ts';
import { isFinished, type SlimPod } from '../../src/api/kube/slim.ts';
import { hasAgent, workloadOf } from '../../src/api/kube/workload.ts';
import { isInScope, selectsPod } from '../../src/resolve/policy-applies.ts';
import { type Change, createSelection, type Selection } from '../../src/resolve/selection.ts';
import { GUARDED } from '../support/guarded-pods.ts';

const ROOTS = ['root', 'foo'] as const;
const NAMESPACES = ['root', 'foo', 'bar'] as const;
const namespace = fc.constantFrom(...NAMESPACES);
const labels = fc.dictionary(fc.constantFrom('app', 'env', 'constructor', GATEWAY_NAME_LABEL), fc.constantFrom('a', 'b', ''), {
  maxKeys: 3,
});
const target = fc.record({
  group: fc.constantFrom('gateway.networking.k8s.io', ''),
  kind: fc.constantFrom('Gateway', 'Service'),
  name: fc.constantFrom('a', 'b'),
});

const policy: fc.Arbitrary<AuthorizationPolicy> = fc
  .record({
    namespace,
    name: fc.constantFrom('p', 'q', 'r'),
    selector: fc.option(fc.option(labels, { nil: undefined }), { nil: undefined }),
    targetRefs: fc.option(fc.array(target, { maxLength: 2 }), { nil: undefined, freq: 3 }),
  })
  .map(({ namespace: of, name, selector, targetRefs }) => ({
    kind: 'AuthorizationPolicy',
    metadata: { namespace: of, name },
    spec: {
      action: 'ALLOW',
      ...(selector === undefined ? {} : { selector: { matchLabels: selector } }),
      ...(targetRefs === undefined ? {} : { targetRefs }),
    },
  }));

const pod: fc.Arbitrary<SlimPod> = fc
  .record({
    namespace,
    name: fc.constantFrom('0', '1', '2'),
    owner: fc.constantFrom('web', 'db'),
    labels,
    agent: fc.boolean(),
    phase: fc.constantFrom('Running', 'Running', 'Succeeded', 'Failed'),
  })
  .map(({ namespace: of, name, owner, labels: own, agent, phase }) => ({
    namespace: of,
    name,
    labels: own,
    annotations: {},
    ...(agent ? GUARDED : {}),
    phase,
    owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: owner, uid: owner },
  }));

type Step =
  | { readonly kind: 'policy'; readonly policy: Policy; readonly isDeleted: boolean }
  | { readonly kind: 'pod'; readonly pod: SlimPod; readonly isDeleted: boolean }
  | { readonly kind: 'root'; readonly root: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('policy' as const), policy, isDeleted: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('pod' as const), pod, isDeleted: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('root' as const), root: fc.constantFrom(...ROOTS) }) },
);

interface Scanned {
  readonly policies: Map<PolicyKey, Policy>;
  readonly pods: Map<string, SlimPod>;
  root: string;
}

function applies(scanned: Scanned, one: Policy, to: SlimPod): boolean {
  return !isFinished(to) && isInScope(one, to.namespace, scanned.root) && selectsPod(one, to.namespace, to.labels);
}

function scanPolicies(scanned: Scanned, isWanted: (pod: SlimPod) => boolean): readonly PolicyKey[] {
  const pods = [...scanned.pods.values()].filter(isWanted);
  return [...scanned.policies].filter(([, one]) => pods.some((to) => applies(scanned, one, to))).map(([key]) => key);
}

function scanWorkloads(scanned: Scanned, isWanted: (pod: SlimPod) => boolean): readonly WorkloadKey[] {
  const pods = [...scanned.pods.values()].filter((one) => !isFinished(one) && isWanted(one));
  return [...new Set(pods.map((one) => workloadKey(workloadOf(one))))];
}

function scanSelected(scanned: Scanned, key: PolicyKey): string {
  const one = scanned.policies.get(key);
  if (one === undefined) return '';
  const selected = [hasAgent, (to: SlimPod): boolean => !hasAgent(to)].map((isWanted) =>
    scanWorkloads(scanned, (to) => isWanted(to) && applies(scanned, one, to)).toSorted(),
  );
  return JSON.stringify(selected);
}

function expectEqual(selection: Selection, scanned: Scanned): void {
  for (const [key, one] of scanned.policies) {
    const withAgent = scanWorkloads(scanned, (to) => hasAgent(to) && applies(scanned, one, to));
    const without = scanWorkloads(scanned, (to) => !hasAgent(to) && applies(scanned, one, to));
    expect([...selection.workloadsOf(key)], `workloads of ${key}`).to.have.members(withAgent);
    expect([...selection.workloadsWithoutAgentOf(key)], `without agent of ${key}`).to.have.members(without);
  }
  for (const workload of scanWorkloads(scanned, () => true)) {
    const isOf = (to: SlimPod): boolean => hasAgent(to) && workloadKey(workloadOf(to)) === workload;
    expect([...selection.policiesOf(workload).keys()], `policies of ${workload}`).to.have.members(scanPolicies(scanned, isOf));
    const sets = [...scanned.pods.values()].filter((to) => isOf(to) && !isFinished(to)).map((to) => sorted(to.labels));
    expect(selection.labelSetsOf(workload).map(sorted), `label sets of ${workload}`).to.have.members([...new Set(sets)]);
  }
  for (const of of [undefined, ...NAMESPACES]) {
    const isIn = (to: SlimPod): boolean => of === undefined || to.namespace === of;
    expect([...selection.workloads(of)]).to.have.members(scanWorkloads(scanned, (to) => isIn(to) && hasAgent(to)));
    if (of !== undefined) expect(selection.hasWorkloads(of)).to.equal(selection.workloads(of).size > 0);
    expect([...selection.workloadsWithoutAgent(of)]).to.have.members(scanWorkloads(scanned, (to) => isIn(to) && !hasAgent(to)));
  }
}

function sorted(own: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(own).sort());
}

/** Takes one step on both sides and compares what the selection says it affects. */
function take(one: Step, selection: Selection, scanned: Scanned): void {
  if (one.kind === 'root') {
    scanned.root = one.root;
    const withAgent = scanWorkloads(scanned, hasAgent);
    expect([...selection.apply({ kind: 'mesh' }).workloads]).to.have.members(withAgent);
    return;
  }
  const key = one.kind === 'policy' ? policyKeyOf(one.policy) : `${one.pod.namespace}/${one.pod.name}`;
  const store = (one.kind === 'policy' ? scanned.policies : scanned.pods) as Map<string, Policy | SlimPod>;
  const before = store.get(key);
  const after = one.isDeleted ? undefined : one.kind === 'policy' ? one.policy : one.pod;
  if (before === undefined && after === undefined) return;
  const old = [...scanned.policies.keys()].map((policyOf) => scanSelected(scanned, policyOf));
  if (after === undefined) store.delete(key);
  else store.set(key, after);
  const change = { kind: one.kind, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) } as Change;
  const affected = selection.apply(change);
  if (change.kind !== 'policy') {
    const changed = [...scanned.policies.keys()].filter((policyOf, at) => old[at] !== scanSelected(scanned, policyOf));
    expect([...affected.policies], 'affected policies').to.have.members(changed);
    return;
  }
  expect([...affected.policies]).to.deep.equal([key]);
  const versions = [change.before, change.after].filter((version) => version !== undefined);
  const expected = scanWorkloads(scanned, (to) => hasAgent(to) && versions.some((version) => applies(scanned, version, to)));
  expect([...affected.workloads], 'affected workloads').to.have.members(expected);
}

describe('Selection', () => {
  it('equals a scan of all policies and pods when any sequence of changes was applied', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const scanned: Scanned = { policies: new Map(), pods: new Map(), root: ROOTS[0] };
        const selection = createSelection(() => scanned.root);
        for (const one of steps) {
          take(one, selection, scanned);
          expectEqual(selection, scanned);
        }
      }),
      { numRuns: 150 },
    );
  });
});
