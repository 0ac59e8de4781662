/*
 * Pairs of programs of a given size, for measuring proofs: rules of the shape that Istio's documentation recommends, and rules that overlap.
 */
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import { lowerPolicies } from '../../src/policy/lower/lower-policies.ts';
import type { Program } from '../../src/policy/model/program.ts';

/** Shapes of rules. */
export const PROOF_SHAPES = ['istio', 'suffixes', 'nested prefixes', 'templates', 'blocks'] as const;
/** Changes of the second program. */
export const PROOF_CHANGES = [
  'none',
  'one rule widened',
  'one claim value added',
  'order changed',
  'rules split',
  '100 rules changed',
] as const;

export type ProofShape = (typeof PROOF_SHAPES)[number];
export type ProofChange = (typeof PROOF_CHANGES)[number];

interface RuleSpec {
  from: { source: { requestPrincipals: string[]; ipBlocks: string[] } }[];
  to: { operation: { methods: string[]; hosts: string[]; paths: string[] } }[];
  when: { key: string; values: string[] }[];
}

const RULES_PER_POLICY = 500;

function pathOf(shape: ProofShape, at: number): string {
  switch (shape) {
    case 'suffixes':
      return `*/res${at}.json`;
    case 'nested prefixes':
      return `/${Array.from({ length: (at % 12) + 1 }, (_, depth) => `p${depth}`).join('/')}/r${Math.floor(at / 12)}*`;
    case 'templates':
      return `/{*}/res${at}/{**}`;
    default:
      return `/team${at % 50}/res${at}/*`;
  }
}

function ruleOf(shape: ProofShape, at: number): RuleSpec {
  const block = shape === 'blocks' ? `10.0.0.0/${8 + (at % 24)}` : `10.${at % 200}.0.0/16`;
  return {
    from: [{ source: { requestPrincipals: ['https://idp.example/*'], ipBlocks: [block] } }],
    to: [{ operation: { methods: ['GET', 'POST'], hosts: [`h${at % 20}.example`], paths: [pathOf(shape, at)] } }],
    when: [
      { key: 'request.auth.claims[groups]', values: [`role-${at % 37}`] },
      { key: 'request.headers[x-tenant]', values: [`tenant-${at % 91}`] },
    ],
  };
}

function changed(rules: readonly RuleSpec[], change: ProofChange): readonly RuleSpec[] {
  const copy = structuredClone(rules) as RuleSpec[];
  const middle = copy[Math.floor(copy.length / 2)];
  switch (change) {
    case 'none':
      return copy;
    case 'one rule widened':
      middle?.to[0]?.operation.methods.push('PUT');
      return copy;
    case 'one claim value added':
      middle?.when[0]?.values.push('contractor');
      return copy;
    case 'order changed':
      return copy.toReversed();
    case 'rules split':
      return copy.flatMap((rule) =>
        (rule.to[0]?.operation.methods ?? []).map((method) => {
          const one = structuredClone(rule);
          for (const { operation } of one.to) operation.methods = [method];
          return one;
        }),
      );
    case '100 rules changed':
      return copy.map((rule, at) =>
        at % Math.max(1, Math.floor(copy.length / 100)) === 0 ? { ...rule, when: rule.when.toReversed() } : rule,
      );
  }
}

function programOf(rules: readonly RuleSpec[]): Program {
  const parse = (kind: string, name: string, spec: object): Policy => {
    const { value, findings } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace: 'shop' }, spec });
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  };
  const chunks = Array.from({ length: Math.ceil(rules.length / RULES_PER_POLICY) }, (_, at) =>
    rules.slice(at * RULES_PER_POLICY, (at + 1) * RULES_PER_POLICY),
  );
  const policies = [
    parse('RequestAuthentication', 'jwt', { jwtRules: [{ issuer: 'https://idp.example', jwksUri: 'https://idp.example/keys' }] }),
    ...chunks.map((own, at) => parse('AuthorizationPolicy', `allow-${at}`, { rules: own })),
  ];
  return lowerPolicies({ namespace: 'shop', policies, mesh: DEFAULT_MESH_CONFIG, keySetId: () => 'keys' }).program;
}

/** Two programs of `size` rules of one shape; the second one has the change. */
export function proofPrograms(shape: ProofShape, size: number, change: ProofChange): readonly [Program, Program] {
  const rules = Array.from({ length: size }, (_, at) => ruleOf(shape, at));
  return [programOf(rules), programOf(changed(rules, change))];
}
