/*
 * Violations that a move under way is about to end. Both lists only ever get shorter.
 */

const PENDING_ARROWS: readonly string[] = [
  'agent/context.ts -> agent/exchange',
  'agent/exchange -> agent/http1',
  'agent/exchange -> agent/net',
  'agent/ext-authz -> agent/http1',
  'agent/http1 -> filters',
  'agent/http1 -> policy',
  'agent/http1 -> agent/context.ts',
  'agent/http1 -> agent/exchange',
  'agent/http1 -> agent/upstream',
  'cli -> agent/http1',
  'http -> policy',
];

/** A cycle is pending when all its members begin with one and the same of these. */
const PENDING_CYCLES: readonly RegExp[] = [
  /^(package )?(src\/)?agent\//,
  /^src\/api\/istio/,
  /^src\/policy\/decide/,
  /^src\/lint/,
  /^src\/cli/,
  /^package (http|policy)$/,
];

/** True for a violation of one of these lists. */
export function isPending(rule: string): boolean {
  if (!rule.startsWith('cycle: ')) return PENDING_ARROWS.includes(rule);
  const members = rule.slice('cycle: '.length).split(/ (?=package |src\/)/);
  return PENDING_CYCLES.some((pattern) => members.every((member) => pattern.test(member)));
}
