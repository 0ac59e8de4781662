/*
 * Sets of policies generated from a seed, with one edit each that changes decisions: the table of `sallyport diff --generate`.
 */
import { comparePrograms } from '../../src/analysis/compare-programs.ts';
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import { createWitnessCheck } from '../../src/cli/commands/confirm-witness.ts';
import { insertToken, placeToken } from '../../src/cli/input/insert-token.ts';
import { type RequestSpec, readSpec } from '../../src/cli/input/request-spec.ts';
import { createComparison } from '../../src/explain/diff-decisions.ts';
import { generateRequests } from '../../src/explain/generate/generate-requests.ts';
import { createRandom, type Random } from '../../src/explain/generate/random.ts';
import { createTestKey } from '../../src/explain/test-key.ts';
import { lowerPolicies } from '../../src/policy/lower/lower-policies.ts';
import type { Program } from '../../src/policy/model/program.ts';

/** The JWT rules of a set. */
export const SHAPES = ['no audiences', 'audiences [web]', 'two issuers, one with audiences'] as const;
export type Shape = (typeof SHAPES)[number];

interface Rule {
  from: { source: { requestPrincipals?: string[]; ipBlocks?: string[] } }[];
  to: { operation: { methods?: string[]; hosts?: string[]; paths: string[] } }[];
  when: { key: string; values: string[] }[];
}

/** A set of policies before it is parsed. */
interface PolicyFiles {
  jwtRules: { issuer: string; jwksUri: string; audiences?: string[] }[];
  allow: Rule[];
  deny: { to: { operation: { paths: string[] } }[] }[];
}

type Edit = (files: PolicyFiles, rule: Rule, random: Random) => void;

const operation = (rule: Rule): Rule['to'][number]['operation'] => rule.to[0]?.operation ?? { paths: [] };
const source = (rule: Rule): Rule['from'][number]['source'] => rule.from[0]?.source ?? {};

/** Twelve kinds of edit; each changes a decision that no other rule hides. */
export const EDITS: Readonly<Record<string, Edit>> = {
  'add a method': (_, rule) => void operation(rule).methods?.push('PATCH'),
  'add a path': (_, rule) => void operation(rule).paths.push('/added/*'),
  'add a claim value': (_, rule) => void rule.when[0]?.values.push('contractor'),
  'remove a claim value': (_, rule) => void rule.when[0]?.values.pop(),
  'add a header value': (_, rule) => void rule.when[1]?.values.push('tenant-added'),
  'add a host': (_, rule) => void operation(rule).hosts?.push('added.example'),
  'widen an address': (_, rule) => {
    const blocks = source(rule).ipBlocks ?? [];
    blocks[0] = (blocks[0] ?? '').replace('/16', '/15');
  },
  'drop one condition': (_, rule, random) => void rule.when.splice(random(rule.when.length), 1),
  'add an issuer': ({ jwtRules }) => void jwtRules.push({ issuer: 'https://added.example', jwksUri: 'https://added.example/keys' }),
  'drop a DENY path': ({ deny }) => void deny[0]?.to[0]?.operation.paths.shift(),
  'add an open path': ({ allow }) => void allow.push({ from: [], to: [{ operation: { paths: ['/open'] } }], when: [] }),
  'prefix instead of exact': (_, rule) => {
    const { paths } = operation(rule);
    paths[0] = `${paths[0] ?? ''}*`;
  },
};

function jwtRulesOf(shape: Shape): PolicyFiles['jwtRules'] {
  const main = { issuer: 'https://idp.example', jwksUri: 'https://idp.example/keys' };
  if (shape === 'no audiences') return [main];
  const restricted = { ...main, audiences: ['web'] };
  return shape === 'audiences [web]'
    ? [restricted]
    : [restricted, { issuer: 'https://other.example', jwksUri: 'https://other.example/keys' }];
}

function createFiles(shape: Shape, random: Random): PolicyFiles {
  const count = 3 + random(12);
  const allow = Array.from({ length: count }, (_, at): Rule => {
    const path = `/team${random(4)}/res${at}`;
    return {
      from: [
        {
          source: { requestPrincipals: [random(2) === 0 ? '*' : 'https://idp.example/*'], ipBlocks: [`10.${2 * random(100) + 1}.0.0/16`] },
        },
      ],
      to: [
        {
          operation: {
            methods: ['GET', 'POST'].slice(random(2)),
            hosts: [`h${random(3)}.example`, '*.corp.example'].slice(random(2)),
            paths: [path, `${path}/x/*`, `${path}/{*}/end`],
          },
        },
      ],
      when: [
        { key: 'request.auth.claims[groups]', values: [`role-${random(5)}`, 'auditor', 'owner'].slice(0, 2 + random(2)) },
        { key: 'request.headers[x-tenant]', values: [`tenant-${random(9)}`] },
        ...(random(2) === 0 ? [{ key: 'request.auth.claims[realm][zone]', values: [`zone-${random(3)}`] }] : []),
      ],
    };
  });
  // Within what an ALLOW rule allows, so that the DENY rule decides.
  const deny = [{ to: [{ operation: { paths: [`${operation(allow[random(count)] as Rule).paths[0] ?? ''}/x/admin`, '*.bak'] } }] }];
  return { jwtRules: jwtRulesOf(shape), allow, deny };
}

/** A policy as it is written. */
export interface WrittenPolicy {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

function policiesOf({ jwtRules, allow, deny }: PolicyFiles): readonly WrittenPolicy[] {
  const written = (kind: string, name: string, spec: object): WrittenPolicy => ({
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { name, namespace: 'shop' },
    spec,
  });
  return [
    written('RequestAuthentication', 'jwt', { jwtRules }),
    written('AuthorizationPolicy', 'allow', { rules: allow }),
    written('AuthorizationPolicy', 'deny', { action: 'DENY', rules: deny }),
  ];
}

/** The program of policies in the namespace shop. */
export function programOf(written: readonly WrittenPolicy[]): Program {
  const policies = written.map((object): Policy => {
    const { value, findings } = parsePolicy(object);
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  });
  return lowerPolicies({ namespace: 'shop', policies, mesh: DEFAULT_MESH_CONFIG, keySetId: () => 'keys' }).program;
}

/** The policies of a set of `shape` before and after the edit. @param edit one of {@link EDITS} */
export function editedPolicies(edit: string, shape: Shape, seed: number): readonly [readonly WrittenPolicy[], readonly WrittenPolicy[]] {
  const random = createRandom(seed);
  const before = createFiles(shape, random);
  const after = structuredClone(before);
  const rule = after.allow[random(after.allow.length)];
  if (rule !== undefined) EDITS[edit]?.(after, rule, random);
  return [policiesOf(before), policiesOf(after)];
}

/** The programs of a set of `shape` before and after the edit. @param edit one of {@link EDITS} */
export function editedPrograms(edit: string, shape: Shape, seed: number): readonly [Program, Program] {
  const [before, after] = editedPolicies(edit, shape, seed);
  return [programOf(before), programOf(after)];
}

const NOW_SECONDS = 1_769_860_800;

/** What the proof says about an edit; `differs`: it has a request that the filter chains decide differently. */
export function proofOfEdit([before, after]: readonly [Program, Program]): 'differs' | 'same' | 'undecided' {
  const check = createWitnessCheck({ before, after, workload: 'shop/deployment/api' }, NOW_SECONDS);
  const { widened, narrowed } = comparePrograms(before, after, {
    protocol: 'http',
    isOver: () => false,
    confirm: (witness, direction) => check.confirm(witness, direction) !== undefined,
  });
  if (widened.kind === 'found' || narrowed.kind === 'found') return 'differs';
  return widened.kind === 'undecided' || narrowed.kind === 'undecided' ? 'undecided' : 'same';
}

/** Number of generated requests up to the first one that is decided differently; undefined: none of `count`. */
export function requestsUntilFlip([before, after]: readonly [Program, Program], count: number, seed: number): number | undefined {
  const { sign, keySetsFor } = createTestKey();
  const [one, other] = [before, after].map((program) => ({ program, keySets: keySetsFor(program) }));
  if (one === undefined || other === undefined) return undefined;
  const compare = createComparison({ before: one, after: other }, NOW_SECONDS);
  let index = 0;
  for (const { tokens = [], ...spec } of generateRequests([before, after], count, seed)) {
    index += 1;
    const placed = tokens.reduce<RequestSpec>(
      (request, { claims, place }) => placeToken(request, sign(claims), place),
      insertToken(spec, undefined),
    );
    const read = readSpec(placed, 'api.shop');
    if (read.kind === 'request' && compare(read.request) !== undefined) return index;
  }
  return undefined;
}
