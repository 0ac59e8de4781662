/*
 * What Argo CD, Flux and kstatus make of the statuses of policies: the shipped script and expressions in the interpreters of these tools
 * (gopher-lua, Flux's evaluator on cel-go, kstatus), on the statuses that the controller computes.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'yaml';
import { AUTHORIZATION_POLICIES, apiVersionOf } from '../../src/cluster/paths.ts';
import type { PolicyEntry } from '../../src/state/cluster-state.ts';
import { conditionsOf, type PolicyFacts } from '../../src/status/conditions.ts';
import { NO_FACTS } from '../../src/status/policy-facts.ts';
import type { AgentFacts } from '../../src/status/programmed-condition.ts';
import { buildModule } from '../cluster/build.ts';

const KINDS = ['AuthorizationPolicy', 'RequestAuthentication'] as const;
type Kind = (typeof KINDS)[number];

interface Judged {
  readonly argo: string;
  readonly message: string;
  readonly flux: string;
  readonly kstatus: string;
}

const read = (name: string): unknown => parse(readFileSync(new URL(`../../manifests/gitops/${name}`, import.meta.url), 'utf8'));
const NO_AGENTS: AgentFacts = { programmed: 0, missing: [], stale: [], refusing: [], silent: [], differing: [], doubled: [] };
const PUBLISHED: Partial<PolicyFacts> = { published: ['foo/deployment/web'] };
const NEWEST = 2;

const entryOf = (kind: Kind, more: Partial<PolicyEntry> = {}): PolicyEntry => ({
  key: `${kind}/foo/p`,
  kind,
  namespace: 'foo',
  name: 'p',
  uid: 'uid',
  generation: NEWEST,
  isCandidateValid: true,
  isValid: true,
  findings: [],
  active:
    kind === 'AuthorizationPolicy'
      ? { kind, metadata: { namespace: 'foo', name: 'p' }, spec: { action: 'ALLOW' } }
      : { kind, metadata: { namespace: 'foo', name: 'p' }, spec: {} },
  ...more,
});
const statusOf = (entry: PolicyEntry, facts: Partial<PolicyFacts>): object => ({
  observedGeneration: entry.generation,
  conditions: conditionsOf(entry, { ...NO_FACTS, ...facts }),
});
const agents = (facts: Partial<AgentFacts>): Partial<PolicyFacts> => ({ ...PUBLISHED, agents: { ...NO_AGENTS, ...facts } });
const invalid = {
  isValid: false,
  isCandidateValid: false,
  findings: [{ code: 'SP_SCHEMA', severity: 'error', path: 'spec', message: 'bad' }],
} as const;

/** By name: the status, and what each tool makes of it. */
const STATES: Readonly<Record<string, readonly [status: (kind: Kind) => object | undefined, argo: string, flux: string, kstatus: string]>> =
  {
    'no status yet': [() => undefined, 'Progressing', 'Unknown', 'Current'],
    'an empty status': [() => ({}), 'Progressing', 'InProgress', 'Current'],
    'conditions of another controller only': [
      () => ({ conditions: [{ type: 'Reconciled', status: 'True', reason: 'Reconciled', message: '' }] }),
      'Progressing',
      'InProgress',
      'Current',
    ],
    'an older generation': [(kind) => statusOf(entryOf(kind, { generation: 1 }), PUBLISHED), 'Progressing', 'InProgress', 'InProgress'],
    'an older generation below the observed one': [
      (kind) => ({ ...statusOf(entryOf(kind, { generation: 1 }), PUBLISHED), observedGeneration: NEWEST }),
      'Progressing',
      'InProgress',
      'Current',
    ],
    'Ready unknown': [
      (kind) => {
        const { conditions } = statusOf(entryOf(kind), PUBLISHED) as { readonly conditions: readonly { readonly type: string }[] };
        return {
          observedGeneration: NEWEST,
          conditions: conditions.map((one) => (one.type === 'Ready' ? { ...one, status: 'Unknown', reason: 'Waiting' } : one)),
        };
      },
      'Progressing',
      'InProgress',
      'InProgress',
    ],
    'not accepted': [(kind) => statusOf(entryOf(kind, invalid), PUBLISHED), 'Degraded', 'Failed', 'InProgress'],
    'not published yet': [
      (kind) => statusOf(entryOf(kind), { waiting: ['foo/deployment/web'] }),
      'Progressing',
      'InProgress',
      'InProgress',
    ],
    'keys that cannot be fetched': [
      (kind) => statusOf(entryOf(kind), { ...PUBLISHED, keys: [{ kind: 'unavailable', rule: 0, reason: 'no response' }] }),
      'Progressing',
      'InProgress',
      'InProgress',
    ],
    'a refused bundle': [
      (kind) => statusOf(entryOf(kind), { refused: [{ workload: 'foo/deployment/web', message: 'too large' }] }),
      'Degraded',
      'Failed',
      'InProgress',
    ],
    'no agent': [(kind) => statusOf(entryOf(kind), { withoutAgent: ['foo/deployment/web'] }), 'Degraded', 'Failed', 'InProgress'],
    'published, without a feed': [(kind) => statusOf(entryOf(kind), PUBLISHED), 'Healthy', 'Current', 'Current'],
    'changed by other clients': [
      (kind) => statusOf(entryOf(kind), { ...PUBLISHED, tampered: ['foo/deployment/web'] }),
      'Healthy',
      'Current',
      'Current',
    ],
    'enforced by some agents': [
      (kind) => statusOf(entryOf(kind), agents({ programmed: 1, stale: ['foo/a'] })),
      'Progressing',
      'InProgress',
      'Current',
    ],
    'refused by an agent': [
      (kind) => statusOf(entryOf(kind), agents({ programmed: 1, refusing: [{ pod: 'foo/a', code: 'SP_BUNDLE_SIGNATURE' }] })),
      'Degraded',
      'Failed',
      'Current',
    ],
    'two agents that differ in a pod': [
      (kind) => statusOf(entryOf(kind), agents({ differing: ['foo/a'] })),
      'Degraded',
      'Failed',
      'Current',
    ],
    'enforced by all agents': [(kind) => statusOf(entryOf(kind), agents({ programmed: 2 })), 'Healthy', 'Current', 'Current'],
    'a selector of nothing': [(kind) => statusOf(entryOf(kind), { agents: NO_AGENTS }), 'Healthy', 'Current', 'Current'],
  };

describe('the health of policies in GitOps tools', function () {
  // Builds a Go module the first time.
  this.timeout(1_800_000);
  const judged = new Map<string, Judged>();
  const nameOf = (kind: Kind, state: string): string => `${kind}: ${state}`;

  before(async () => {
    const program = await buildModule('gitops', new URL('../gitops/', import.meta.url));
    const { data } = read('argocd-cm-patch.yaml') as { readonly data: Readonly<Record<string, string>> };
    const { healthCheckExprs } = read('flux-health-checks.yaml') as { readonly healthCheckExprs: readonly object[] };
    const scripts = Object.fromEntries(KINDS.map((kind) => [kind, data[`resource.customizations.health.security.istio.io_${kind}`]]));
    const cases = KINDS.flatMap((kind) => Object.entries(STATES).map(([state, [status]]) => ({ kind, state, status: status(kind) })));
    const objects = cases.map(({ kind, state, status }) => ({
      apiVersion: apiVersionOf(AUTHORIZATION_POLICIES),
      kind,
      metadata: { namespace: 'foo', name: state, generation: NEWEST },
      ...(status === undefined ? {} : { status }),
    }));
    const { stdout, stderr, status } = spawnSync(program, {
      input: JSON.stringify({ scripts, checks: healthCheckExprs, objects }),
      encoding: 'utf8',
    });
    expect(status, stderr).to.equal(0);
    const results = JSON.parse(stdout) as readonly Judged[];
    for (const [at, { kind, state }] of cases.entries()) judged.set(nameOf(kind, state), results[at] as Judged);
  });

  it('names the same reasons in both tools', () => {
    const { data } = read('argocd-cm-patch.yaml') as { readonly data: Readonly<Record<string, string>> };
    const { healthCheckExprs } = read('flux-health-checks.yaml') as { readonly healthCheckExprs: readonly { readonly failed: string }[] };
    const argo = Object.values(data).map((script) => [...script.matchAll(/(\w+) = true/g)].map(([, reason]) => reason));
    const flux = healthCheckExprs.map(({ failed }) =>
      [...(/c\.reason in \[(.*)\]/.exec(failed)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(([, reason]) => reason),
    );
    expect(argo[0]).to.have.length.above(0);
    expect([...argo, ...flux]).to.deep.equal(Array.from({ length: 4 }, () => argo[0]));
  });

  for (const kind of KINDS) {
    for (const [state, [, argo, flux, kstatus]] of Object.entries(STATES)) {
      it(`of kind ${kind} with ${state} is ${argo} in Argo CD, ${flux} in Flux and ${kstatus} in kstatus`, () => {
        const found = judged.get(nameOf(kind, state));
        expect([found?.argo, found?.flux, found?.kstatus]).to.deep.equal([argo, flux, kstatus]);
        expect(found?.message).not.to.be.oneOf(['', 'nil']);
      });
    }
  }
});
