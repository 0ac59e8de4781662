/*
 * Finds rules that have no effect because another rule of the same action, for the same pods, matches every request that they
 * match.
 */
import type { AuthorizationPolicy, Policy } from '../../api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../api/mesh-config.ts';
import type { Finding } from '../../errors.ts';
import { dryRunOf } from '../../policy/lower/dry-run.ts';
import { lowerRule } from '../../policy/lower/rule.ts';
import type { Rule } from '../../policy/model/program.ts';
import { warn } from '../shared/lint-finding.ts';
import { covers } from '../shared/selection.ts';
import { type Budget, coversRule } from './rule-cover.ts';
import { createRuleIndex, type RuleIndex } from './rule-index.ts';

/** Mesh settings that the meaning of rules depends on; absent: Istio's defaults. */
export type RuleMeaning = Pick<MeshConfig, 'rootNamespace'> & Partial<Pick<MeshConfig, 'trustDomain' | 'trustDomainAliases'>>;

/** A rule lowered for both protocols; undefined for a protocol on which it is dropped. */
interface LoweredRule {
  readonly policy: AuthorizationPolicy;
  readonly path: string;
  /** Position among all indexed rules. */
  readonly order: number;
  readonly http: Rule | undefined;
  readonly tcp: Rule | undefined;
}

/** Lowered rules of all policies, for the search for covering rules. */
export interface CoverIndex {
  readonly rootNamespace: string;
  readonly rulesByPolicy: ReadonlyMap<Policy, readonly LoweredRule[]>;
  /** By namespace, selection, action, provider and mode: only rules of one group can cover each other. */
  readonly indexByGroup: ReadonlyMap<string, RuleIndex<LoweredRule>>;
}

/** Bounds on the work for one rule. */
const MAX_CANDIDATES = 64;
const MAX_COMPARISONS = 2000;
/** A selector with more labels is compared only with equal selectors and with policies without a selector. */
const MAX_LABELS = 5;
const EVERY_POD = selectionOf({ action: 'ALLOW' });

type LabelPairs = readonly (readonly [key: string, value: string])[];

/** Indexes the rules of `policies`, in linear time. */
export function indexRules(policies: readonly Policy[], meaning: RuleMeaning): CoverIndex {
  const rulesByPolicy = new Map<Policy, readonly LoweredRule[]>();
  const indexByGroup = new Map<string, RuleIndex<LoweredRule>>();
  let order = 0;
  for (const policy of policies) {
    if (policy.kind !== 'AuthorizationPolicy') continue;
    const rules = lowerRules(policy, meaning, order);
    order += rules.length;
    rulesByPolicy.set(policy, rules);
    const group = groupOf(policy, policy.metadata.namespace, selectionOf(policy.spec));
    const index = indexByGroup.get(group) ?? createRuleIndex<LoweredRule>();
    indexByGroup.set(group, index);
    for (const rule of rules) if (rule.http !== undefined) index.add(rule.http, rule);
  }
  return { rootNamespace: meaning.rootNamespace, rulesByPolicy, indexByGroup };
}

/** A warning for each rule of `policy` that another rule covers. @param isCandidate policies whose rules are considered */
export function findCoveredRules(
  policy: AuthorizationPolicy,
  index: CoverIndex,
  isCandidate: (other: AuthorizationPolicy) => boolean = () => true,
): readonly Finding[] {
  const rules = index.rulesByPolicy.get(policy) ?? [];
  const groups = wideGroups(policy, index.rootNamespace).flatMap((group) => index.indexByGroup.get(group) ?? []);
  return rules.flatMap((rule) => {
    const cover = coverOf(rule, groups, { rootNamespace: index.rootNamespace, isCandidate });
    return cover === undefined ? [] : [unreachable(rule, cover)];
  });
}

function coverOf(
  rule: LoweredRule,
  groups: readonly RuleIndex<LoweredRule>[],
  { rootNamespace, isCandidate }: { readonly rootNamespace: string; readonly isCandidate: (other: AuthorizationPolicy) => boolean },
): LoweredRule | undefined {
  const { http } = rule;
  if (http === undefined) return undefined;
  const budget: Budget = { left: MAX_COMPARISONS };
  let tried = 0;
  for (const group of groups) {
    for (const other of group.candidates(http)) {
      if (other === rule || !isCandidate(other.policy)) continue;
      if (tried++ === MAX_CANDIDATES) return undefined;
      const isIdle = isCovered(rule, other, rootNamespace, budget) && !isFirstOfTwins(rule, other, rootNamespace, budget);
      if (budget.left < 0) return undefined;
      if (isIdle) return other;
    }
  }
  return undefined;
}

function isCovered(narrow: LoweredRule, wide: LoweredRule, rootNamespace: string, budget: Budget): boolean {
  return (
    (wide.policy === narrow.policy || covers(wide.policy, narrow.policy, rootNamespace)) &&
    coversOn(wide.http, narrow.http, budget) &&
    coversOn(wide.tcp, narrow.tcp, budget)
  );
}

function coversOn(wide: Rule | undefined, narrow: Rule | undefined, budget: Budget): boolean {
  return narrow === undefined || (wide !== undefined && coversRule(wide, narrow, budget));
}

/** Of two rules that cover each other, only the second is reported. */
function isFirstOfTwins(rule: LoweredRule, other: LoweredRule, rootNamespace: string, budget: Budget): boolean {
  return rule.order < other.order && isCovered(other, rule, rootNamespace, budget);
}

/** Groups that may contain a rule that covers one of `policy`: policies whose selector is a subset of its labels. */
function wideGroups(policy: AuthorizationPolicy, rootNamespace: string): readonly string[] {
  const namespaces = [policy.metadata.namespace, rootNamespace];
  return [...new Set(wideSelections(policy.spec).flatMap((selection) => namespaces.map((own) => groupOf(policy, own, selection))))];
}

function wideSelections(spec: AuthorizationPolicy['spec']): readonly string[] {
  const labels = Object.entries(spec.selector?.matchLabels ?? {});
  if (labels.length > MAX_LABELS) return [selectionOf(spec), EVERY_POD];
  const parts = labels.reduce<readonly LabelPairs[]>((all, label) => [...all, ...all.map((part) => [...part, label])], [[]]);
  return parts.map((part) => selectionOf({ ...spec, selector: { matchLabels: Object.fromEntries(part) } }));
}

/** Key of rules with one action, provider and mode, in one namespace, for one selection of pods. */
function groupOf({ metadata, spec }: AuthorizationPolicy, namespace: string, selection: string): string {
  return JSON.stringify([namespace, selection, spec.action, spec.provider?.name, dryRunOf(metadata) === true]);
}

function selectionOf({ selector, targetRefs }: AuthorizationPolicy['spec']): string {
  return JSON.stringify([targetRefs, Object.entries(selector?.matchLabels ?? {}).toSorted(([one], [other]) => (one < other ? -1 : 1))]);
}

function lowerRules(policy: AuthorizationPolicy, meaning: RuleMeaning, order: number): readonly LoweredRule[] {
  const { namespace, name } = policy.metadata;
  const { trustDomain, trustDomainAliases } = { ...DEFAULT_MESH_CONFIG, ...meaning };
  const lower = (protocol: 'http' | 'tcp', rule: number): Rule | undefined =>
    lowerRule(
      { namespace, action: policy.spec.action, protocol, trustDomains: [trustDomain, ...trustDomainAliases], report: () => undefined },
      policy.spec.rules?.[rule] ?? {},
      '',
      { kind: 'AuthorizationPolicy', namespace, name, generation: 0, rule },
    );
  return (policy.spec.rules ?? []).map((_, rule) => ({
    policy,
    path: `spec.rules[${rule}]`,
    order: order + rule,
    http: lower('http', rule),
    tcp: lower('tcp', rule),
  }));
}

function unreachable({ policy, path }: LoweredRule, cover: LoweredRule): Finding {
  const { namespace, name } = cover.policy.metadata;
  const where = cover.policy === policy ? cover.path : `${cover.path} of ${namespace}/${name}`;
  return warn({
    code: 'SP_UNREACHABLE_RULE',
    path,
    message: `this rule has no effect: ${where} matches every request that it matches`,
    hint: 'remove it, or narrow the other rule',
  });
}
