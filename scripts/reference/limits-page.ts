/*
 * docs/reference/limits.md, from the declared limits of the agent and their descriptions.
 */
import { FETCHED_KEYS_BYTES, NAMESPACE_SHARE, POLICY_LIMIT, REPLACEMENT_SHARE, ROOT_SHARE } from '../../src/compile/budgets.ts';
import { LIMITS } from '../../src/limits/agent-limits.ts';
import { AGENT_LIMITS_REFERENCE, type LimitPart, type LimitReference } from '../../src/limits/agent-limits-reference.ts';
import { LIMIT_REACHED, type Limit } from '../../src/limits/limit.ts';
import { PROFILE_LIMITS } from '../../src/limits/profile-limits.ts';
import { PROFILE_LIMITS_REFERENCE } from '../../src/limits/profile-limits-reference.ts';
import type { PolicySize } from '../../src/resolve/policy-load.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

const TITLES: Readonly<Record<LimitPart, string>> = {
  clients: 'Client connections',
  application: 'Connections to the application',
  ext_authz: 'Checks by ext_authz providers',
  admin: 'Admin port',
  logs: 'Access log and log',
  traces: 'Traces',
  profiles: 'Profiles',
  bundles: 'Bundles',
  tokens: 'Tokens',
};

/** Text of docs/reference/limits.md. */
export function limitsPage(): string {
  return [
    GENERATED,
    '# Limits of the agent\n\nEverything in the agent that grows, waits or repeats, and what bounds it. Source: `src/limits`, which is the only place where the agent\n',
    `takes containers and timers from. \`${LIMIT_REACHED}\` has one label, the name of the limit. \`–\`: nothing is lost, so nothing is counted.\n`,
    ...Object.entries(TITLES).map(([part, title]) => `\n## ${title}\n\n${tableOf(part)}`),
    `\n## Budgets of policies\n\n${BUDGETS}\n\n${budgetTable()}`,
  ].join('');
}

const BUDGETS = [
  'What policies may take of the bundle of one pod, so that the controller publishes no bundle that an agent or its ConfigMaps refuse. A policy over its',
  'budget is refused alone (`SP_OVER_BUDGET`, condition `Ready=False`, reason `OverBudget`): its last version within the budget stays active. Without one,',
  'what denies at least as much is enforced: ALLOW allows nothing, DENY and CUSTOM deny every request to the pods that they select, AUDIT is left out, and',
  'a RequestAuthentication refuses every token that it finds. Oldest policies come first. Policies whose selectors require different values of a label',
  'never select the same pod, so only the largest group of them counts. Admission refuses a policy of the root namespace that would be over its budget.',
].join('\n');

function budgetTable(): string {
  const row = (name: string, { bytes, packedBytes, rules, values }: PolicySize): readonly string[] => [
    name,
    `${bytes / 1024} KiB`,
    `${packedBytes / 1024} KiB`,
    rules.toLocaleString('en'),
    values.toLocaleString('en'),
  ];
  return [
    markdownTable(
      ['what', 'canonical JSON', 'compressed', 'rules', 'values to match'],
      [
        row('one policy', POLICY_LIMIT),
        row('all policies of the root namespace', ROOT_SHARE),
        row('all policies of another namespace', NAMESPACE_SHARE),
        row('replacements of RequestAuthentications, besides', REPLACEMENT_SHARE),
      ],
    ),
    `\nFetched keys: ${FETCHED_KEYS_BYTES / 1024} KiB for policies of the root namespace and as much for all others; beyond it, every token for the rule is refused.\n`,
  ].join('');
}

function tableOf(part: string): string {
  const described = [...pairs(LIMITS, AGENT_LIMITS_REFERENCE), ...pairs(PROFILE_LIMITS, PROFILE_LIMITS_REFERENCE)];
  const rows = described.flatMap(([limit, { part: partOf, bounds, set, beyond, labels }]) => {
    if (partOf !== part) return [];
    return [[code(limit.name), bounds, valueOf(limit), set ?? 'fixed', beyond, metricOf(limit, labels)]];
  });
  return markdownTable(['limit', 'what it bounds', 'default', 'how to set it', 'beyond it', 'counted by'], rows);
}

function pairs<Name extends string>(
  limits: Readonly<Record<Name, Limit>>,
  reference: Readonly<Record<Name, LimitReference>>,
): readonly (readonly [Limit, LimitReference])[] {
  return (Object.keys(limits) as Name[]).map((name) => [limits[name], reference[name]]);
}

function metricOf({ metric, name }: Limit, labels: string | undefined): string {
  if (metric === '') return '–';
  if (metric === LIMIT_REACHED) return code(`${metric}{limit="${name}"}`);
  return code(labels === undefined ? metric : `${metric}{${labels}}`);
}

function valueOf({ unit, value }: Limit): string {
  if (value === 0) return 'none';
  if (unit === 'count') return value.toLocaleString('en');
  if (unit === 'bytes') return value >= 1024 * 1024 ? `${value / 1024 / 1024} MiB` : `${value / 1024} KiB`;
  return durationOf(value);
}

function durationOf(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  if (ms >= 3_600_000) return `${ms / 3_600_000} h`;
  return ms >= 60_000 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}
