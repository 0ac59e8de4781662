/*
 * Finds rules that have no effect because no request matches them, or because another rule of the same action, for the same pods, matches
 * every request that they match; and rules that match everything. Quick cases come first; what they leave open is for the prover.
 */
import type { RuleProver, RuleQuestion } from '../../analysis/rule-prover.ts';
import type { AuthorizationPolicy, Policy } from '../../api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../api/mesh-config.ts';
import type { Finding } from '../../errors.ts';
import { dryRunOf } from '../../policy/lower/dry-run.ts';
import { lowerRule } from '../../policy/lower/rule.ts';
import type { Rule } from '../../policy/model/program.ts';
import { warn } from '../shared/lint-finding.ts';
import { covers } from '../shared/selection.ts';
import { type Budget, quicklyCovers } from './quick-cover.ts';
import { createRuleIndex, type RuleIndex } from './rule-index.ts';

/** Mesh settings that the meaning of rules depends on; absent: Istio's defaults. */
export type RuleMeaning = Pick<MeshConfig, 'rootNamespace'> & Partial<Pick<MeshConfig, 'trustDomain' | 'trustDomainAliases'>>;

/** Requests or connections that a rule matches: `some` also where this is not decided. */
type Reach = 'none' | 'some' | 'all';
type Protocol = RuleQuestion['protocol'];

/** A rule lowered for both protocols; undefined for a protocol on which it is dropped. */
interface LoweredRule {
  readonly policy: AuthorizationPolicy;
  readonly path: string;
  /** Position among all indexed rules. */
  readonly order: number;
  readonly http: Rule | undefined;
  readonly tcp: Rule | undefined;
  readonly reach: Readonly<Record<Protocol, Reach>>;
}

/** Lowered rules of all policies, for the search for covering rules. */
export interface CoverIndex {
  readonly rootNamespace: string;
  readonly prover: RuleProver | undefined;
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

/** Indexes the rules of `policies`, in linear time. @param prover undefined: only quick cases are decided */
export function indexRules(policies: readonly Policy[], meaning: RuleMeaning, prover?: RuleProver): CoverIndex {
  const rulesByPolicy = new Map<Policy, readonly LoweredRule[]>();
  const indexByGroup = new Map<string, RuleIndex<LoweredRule>>();
  let order = 0;
  for (const policy of policies) {
    if (policy.kind !== 'AuthorizationPolicy') continue;
    const rules = lowerRules(policy, meaning, { order, prover });
    order += rules.length;
    rulesByPolicy.set(policy, rules);
    const group = groupOf(policy, policy.metadata.namespace, selectionOf(policy.spec));
    const index = indexByGroup.get(group) ?? createRuleIndex<LoweredRule>();
    indexByGroup.set(group, index);
    for (const rule of rules) if (rule.http !== undefined) index.add(rule.http, rule, rule.reach.http === 'all');
  }
  return { rootNamespace: meaning.rootNamespace, prover, rulesByPolicy, indexByGroup };
}

/** Whether `policy` has a rule that matches every request and every connection. */
export function hasRuleForAll(policy: AuthorizationPolicy, { rulesByPolicy }: CoverIndex): boolean {
  return (rulesByPolicy.get(policy) ?? []).some(({ reach }) => reach.http === 'all' && reach.tcp === 'all');
}

/** A warning for each rule of `policy` that matches nothing, or all of HTTP without being empty. @param known findings of other checks */
export function findExtremeRules(
  policy: AuthorizationPolicy,
  { rulesByPolicy }: CoverIndex,
  known: readonly Finding[],
): readonly Finding[] {
  const isKnown = (code: Finding['code'], at: string): boolean =>
    known.some((one) => one.code === code && (one.path === at || one.path.startsWith(`${at}.`)));
  const { action } = policy.spec;
  return (rulesByPolicy.get(policy) ?? []).flatMap(({ http, path, reach }) => {
    if (http !== undefined && matchesNothing(reach)) {
      const hint = 'remove it, or correct its values';
      return isKnown('SP_NEVER_MATCHES', path)
        ? []
        : [warn({ code: 'SP_NEVER_MATCHES', path, message: 'no request matches this rule', hint })];
    }
    if (reach.http !== 'all' || (action !== 'ALLOW' && action !== 'DENY') || isKnown('SP_WIDE_RULE', path)) return [];
    const message = `this rule ${action === 'ALLOW' ? 'allows' : 'denies'} every HTTP request`;
    return [warn({ code: 'SP_WIDE_RULE', path, message, hint: 'specify some requests' })];
  });
}

function matchesNothing({ http, tcp }: LoweredRule['reach']): boolean {
  return http === 'none' && tcp === 'none';
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
    const cover = coverOf(rule, groups, { rootNamespace: index.rootNamespace, prover: index.prover, isCandidate });
    return cover === undefined ? [] : [unreachable(rule, cover)];
  });
}

interface CoverSearch extends Pick<CoverIndex, 'rootNamespace' | 'prover'> {
  readonly isCandidate: (other: AuthorizationPolicy) => boolean;
}

function coverOf(rule: LoweredRule, groups: readonly RuleIndex<LoweredRule>[], search: CoverSearch): LoweredRule | undefined {
  const { http } = rule;
  if (http === undefined || matchesNothing(rule.reach)) return undefined;
  const budget: Budget = { left: MAX_COMPARISONS };
  let tried = 0;
  for (const group of groups) {
    for (const other of group.candidates(http)) {
      if (other === rule || !search.isCandidate(other.policy)) continue;
      if (tried++ === MAX_CANDIDATES) return undefined;
      if (isCovered(rule, other, search, budget) && !isFirstOfTwins(rule, other, search, budget)) return other;
    }
  }
  return undefined;
}

function isCovered(narrow: LoweredRule, wide: LoweredRule, { rootNamespace, prover }: CoverSearch, budget: Budget): boolean {
  if (wide.policy !== narrow.policy && !covers(wide.policy, narrow.policy, rootNamespace)) return false;
  const isQuick = (protocol: Protocol): boolean => {
    const [outer, inner] = [wide[protocol], narrow[protocol]];
    return inner === undefined || wide.reach[protocol] === 'all' || (outer !== undefined && quicklyCovers(outer, inner, budget));
  };
  return PROTOCOLS.every((protocol) => {
    const [outer, inner] = [wide[protocol], narrow[protocol]];
    if (isQuick(protocol)) return true;
    if (outer === undefined || inner === undefined || prover === undefined) return false;
    return prover.subsumes(outer, inner, questionAbout(narrow.policy, protocol)) === true;
  });
}

const PROTOCOLS = ['http', 'tcp'] as const satisfies readonly Protocol[];

function questionAbout({ spec }: AuthorizationPolicy, protocol: Protocol): RuleQuestion {
  return { protocol, seesClaims: spec.action !== 'CUSTOM' };
}

/** Of two rules that cover each other, only the second is reported. */
function isFirstOfTwins(rule: LoweredRule, other: LoweredRule, search: CoverSearch, budget: Budget): boolean {
  return rule.order < other.order && isCovered(other, rule, search, budget);
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

interface LowerOptions {
  /** Position of the first rule. */
  readonly order: number;
  readonly prover: RuleProver | undefined;
}

function lowerRules(policy: AuthorizationPolicy, meaning: RuleMeaning, { order, prover }: LowerOptions): readonly LoweredRule[] {
  const { namespace, name } = policy.metadata;
  const { trustDomain, trustDomainAliases } = { ...DEFAULT_MESH_CONFIG, ...meaning };
  const lower = (protocol: Protocol, rule: number): Rule | undefined =>
    lowerRule(
      { namespace, action: policy.spec.action, protocol, trustDomains: [trustDomain, ...trustDomainAliases], report: () => undefined },
      policy.spec.rules?.[rule] ?? {},
      '',
      { kind: 'AuthorizationPolicy', namespace, name, generation: 0, rule },
    );
  const reachOf = (rule: Rule | undefined, protocol: Protocol): Reach => {
    if (rule === undefined) return 'none';
    if (quicklyCovers(rule, ANYTHING, { left: MAX_COMPARISONS })) return 'all';
    const question = questionAbout(policy, protocol);
    if (prover?.canMatch(rule, question) === false) return 'none';
    return prover?.subsumes(rule, ANYTHING, question) === true ? 'all' : 'some';
  };
  return (policy.spec.rules ?? []).map((_, rule) => {
    const [http, tcp] = [lower('http', rule), lower('tcp', rule)];
    const reach = { http: reachOf(http, 'http'), tcp: reachOf(tcp, 'tcp') };
    return { policy, path: `spec.rules[${rule}]`, order: order + rule, http, tcp, reach };
  });
}

/** Matches every request. */
const ANYTHING: Rule = {
  id: '',
  source: { kind: 'AuthorizationPolicy', namespace: '', name: '', generation: 0, rule: 0 },
  from: [[]],
  to: [[]],
  when: [],
};

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
