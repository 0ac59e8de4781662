/*
 * docs/reference/limits.md, from the declared limits of the agent and their descriptions.
 */
import { LIMITS, type LimitName } from '../../src/limits/agent-limits.ts';
import { AGENT_LIMITS_REFERENCE, type LimitPart } from '../../src/limits/agent-limits-reference.ts';
import { LIMIT_REACHED, type Limit } from '../../src/limits/limit.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

const TITLES: Readonly<Record<LimitPart, string>> = {
  clients: 'Client connections',
  application: 'Connections to the application',
  ext_authz: 'Checks by ext_authz providers',
  admin: 'Admin port',
  logs: 'Access log and log',
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
  ].join('');
}

function tableOf(part: string): string {
  const names = (Object.keys(LIMITS) as LimitName[]).filter((name) => AGENT_LIMITS_REFERENCE[name].part === part);
  const rows = names.map((name) => {
    const limit = LIMITS[name];
    const { bounds, set, beyond, labels } = AGENT_LIMITS_REFERENCE[name];
    return [code(limit.name), bounds, valueOf(limit), set ?? 'fixed', beyond, metricOf(limit, labels)];
  });
  return markdownTable(['limit', 'what it bounds', 'default', 'how to set it', 'beyond it', 'counted by'], rows);
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
