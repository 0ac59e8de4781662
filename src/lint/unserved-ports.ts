/*
 * Finds ports that no selected pod serves. Policies see the port of the container; naming the port of the Service in front
 * is the usual mistake.
 */
import type { AuthorizationPolicy, Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { conditionsOf, rulesOf, warn } from './shared/lint-finding.ts';

/** What is known of the pods that a policy selects. */
export interface ServedPorts {
  /** Ports on which their agents evaluate requests; undefined: not known. Called only for a policy that names ports. */
  readonly served: () => ReadonlySet<number> | undefined;
  /** The port of the pods behind a port of a Service in front of them; undefined: no Service has that port. Absent: Services are not known. */
  readonly behindService?: (port: number) => { readonly service: string; readonly port: number } | undefined;
}

interface PortList {
  readonly path: string;
  readonly values: readonly string[];
  /** In a list that starts with `not`, these values exclude nothing. */
  readonly isNegated: boolean;
}

/** At most this many ports are named in a hint. */
const NAMED = 5;

/** Whether {@link findUnservedPorts} asks for the ports of the pods. */
export function namesPorts(policy: Policy): boolean {
  return policy.kind === 'AuthorizationPolicy' && portLists(policy).length > 0;
}

/** A warning for each port of `policy` that no selected pod serves. */
export function findUnservedPorts(policy: Policy, { served, behindService }: ServedPorts): readonly Finding[] {
  if (policy.kind !== 'AuthorizationPolicy') return [];
  const lists = portLists(policy);
  const ports = lists.length === 0 ? undefined : served();
  if (ports === undefined) return [];
  const lowest = [...ports].sort((one, other) => one - other).slice(0, NAMED + 1);
  return lists.flatMap(({ path, values, isNegated }) =>
    values.flatMap((value, index): readonly Finding[] => {
      if (!/^\d{1,5}$/.test(value) || ports.has(Number(value))) return [];
      const effect = isNegated ? 'excludes nothing' : 'never matches';
      return [
        warn({
          code: 'SP_NEVER_MATCHES',
          path: `${path}[${index}]`,
          message: `port ${value} ${effect}: policies see the port of the container, and no selected pod serves ${value}`,
          hint: hintFor(Number(value), lowest, behindService),
        }),
      ];
    }),
  );
}

function portLists(policy: AuthorizationPolicy): readonly PortList[] {
  return rulesOf(policy).flatMap((placed) => [
    ...(placed.rule.to ?? []).flatMap(({ operation = {} }, index) => {
      const path = `${placed.path}.to[${index}].operation`;
      return bothLists({ path: `${path}.ports`, values: operation.ports }, { path: `${path}.notPorts`, values: operation.notPorts });
    }),
    ...conditionsOf(placed)
      .filter(({ condition }) => condition.key === 'destination.port')
      .flatMap(({ condition, path }) =>
        bothLists({ path: `${path}.values`, values: condition.values }, { path: `${path}.notValues`, values: condition.notValues }),
      ),
  ]);
}

interface MaybeList {
  readonly path: string;
  readonly values: readonly string[] | undefined;
}

function bothLists(positive: MaybeList, negated: MaybeList): readonly PortList[] {
  return [
    { path: positive.path, values: positive.values ?? [], isNegated: false },
    { path: negated.path, values: negated.values ?? [], isNegated: true },
  ].filter(({ values }) => values.length > 0);
}

/** @param known the lowest ports that are served, one more than are named */
function hintFor(port: number, known: readonly number[], behindService: ServedPorts['behindService']): string {
  const target = behindService?.(port);
  if (target !== undefined) return `Service ${target.service} leads from port ${port} to ${target.port}: write "${target.port}"`;
  const more = known.length > NAMED ? ' and others' : '';
  return `the selected pods serve ${known.slice(0, NAMED).join(', ')}${more}`;
}
