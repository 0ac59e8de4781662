/*
 * The rules of an invariant for one workload, lowered as those of a policy are.
 */
import type { RulesByProtocol } from '../../analysis/allow-only.ts';
import { complementOf } from '../../analysis/invariant-programs.ts';
import { parseAuthorizationPolicy } from '../../api/istio/parse-policy.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { lowerPolicies } from '../../policy/lower/lower-policies.ts';
import type { Rule } from '../../policy/model/program.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import type { Invariant, WrittenRule } from '../input/invariants.ts';

/** Alternatives of the opposite of `onlyFrom`: the product of the numbers of fields of its sources. */
const MAX_OPPOSITES = 4096;

/** The rules of the invariant for a workload in `namespace`. @throws CommandError when a part of them cannot be evaluated */
export function rulesOfInvariant(invariant: Invariant, namespace: string, mesh: MeshConfig): RulesByProtocol {
  const lower = (rules: readonly WrittenRule[]): RulesByProtocol => lowerRules(rules, { invariant, namespace, mesh });
  if (invariant.kind !== 'onlyFrom') return lower(invariant.rules.flatMap(apart));
  const [{ from, to } = {}] = invariant.rules;
  const sources = lower(apart({ from }));
  const [anywhere] = to === undefined ? [[[]]] : [undefined];
  const targets = lower(to === undefined ? [] : apart({ to }));
  const opposite = (protocol: 'http' | 'tcp'): readonly Rule[] => {
    const others = complementOf(
      sources[protocol].flatMap((rule) => rule.from),
      MAX_OPPOSITES,
    );
    if (others === undefined) throw refusal(invariant, `the sources have more than ${MAX_OPPOSITES} combinations of fields`);
    const entries = anywhere ?? targets[protocol].flatMap((rule) => rule.to);
    const id = `invariant[${invariant.name}]`;
    const source = { kind: 'AuthorizationPolicy', namespace, name: invariant.name, generation: 0, rule: 0 } as const;
    return entries.length === 0 || others.length === 0 ? [] : [{ id, source, from: others, to: entries, when: [] }];
  };
  return { http: opposite('http'), tcp: opposite('tcp') };
}

/** A rule for each pair of a source and an operation: on TCP, a part with an attribute of HTTP drops its whole rule. */
function apart({ from, to, when }: WrittenRule): readonly WrittenRule[] {
  const each = (name: string, list: unknown): readonly object[] =>
    Array.isArray(list) && list.length > 0 ? list.map((one: unknown) => ({ [name]: [one] })) : [{}];
  return each('from', from).flatMap((source) =>
    each('to', to).map((operation) => ({ ...source, ...operation, ...(when === undefined ? {} : { when }) })),
  );
}

interface Place {
  readonly invariant: Invariant;
  readonly namespace: string;
  readonly mesh: MeshConfig;
}

function lowerRules(rules: readonly WrittenRule[], { invariant, namespace, mesh }: Place): RulesByProtocol {
  if (rules.length === 0) return { http: [], tcp: [] };
  const { value } = parseAuthorizationPolicy({ metadata: { name: invariant.name, namespace }, spec: { rules } });
  if (value === undefined) throw refusal(invariant, 'its rules cannot be parsed');
  const { program, findings } = lowerPolicies({ namespace, policies: [value], mesh, keySetId: () => '' });
  const [found] = findings;
  if (found !== undefined) throw refusal(invariant, found.message);
  const named = (own: readonly Rule[]): readonly Rule[] =>
    own.map((rule, index) => ({ ...rule, id: `invariant[${invariant.name}]-rule[${index}]` }));
  return { http: named(program.http.allow.rules), tcp: named(program.tcp.allow.rules) };
}

function refusal({ file, line, name }: Invariant, reason: string): CommandError {
  return new CommandError(EXIT_BAD_DATA, `${file}:${line}: ${name}: ${reason}`);
}
