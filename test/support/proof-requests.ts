/*
 * Random requests to large pairs of programs, for contradicting proofs: values of the rules, cut or extended, and mixed.
 */
import { comparePrograms } from '../../src/analysis/compare-programs.ts';
import { createRandom, type Random } from '../../src/explain/generate/random.ts';
import { createEvaluator } from '../../src/policy/decide/evaluator.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import { PROOF_CHANGES, PROOF_SHAPES, type ProofChange, type ProofShape, proofPrograms } from './proof-programs.ts';

/** How much to try. */
export interface RandomOptions {
  readonly rules: number;
  /** Over all pairs of programs. */
  readonly requests: number;
  readonly seed: number;
}

/** A proof that a random request contradicts; undefined: none does. */
export function randomContradiction({ rules, requests, seed }: RandomOptions): string | undefined {
  const random = createRandom(seed);
  const pairs = PROOF_SHAPES.flatMap((shape) => PROOF_CHANGES.map((change) => [shape, change] as const));
  for (const [shape, change] of pairs) {
    const found = contradiction(shape, change, rules, Math.ceil(requests / pairs.length), random);
    if (found !== undefined) return `${shape}, ${change}: ${found}`;
  }
  return undefined;
}

function contradiction(shape: ProofShape, change: ProofChange, rules: number, requests: number, random: Random): string | undefined {
  const [before, after] = proofPrograms(shape, rules, change);
  const proof = comparePrograms(before, after, { protocol: 'http', isOver: () => false, confirm: () => true });
  if (proof.widened.kind === 'undecided' || proof.narrowed.kind === 'undecided') return 'undecided';
  const [one, other] = [createEvaluator(before), createEvaluator(after)];
  for (let at = 0; at < requests; at++) {
    const facts = randomFacts(shape, rules, random);
    const [isBefore, isAfter] = [one.decide(facts).allowed, other.decide(facts).allowed];
    if (!isBefore && isAfter && proof.widened.kind === 'none') return `widened by ${JSON.stringify(facts)}`;
    if (isBefore && !isAfter && proof.narrowed.kind === 'none') return `narrowed by ${JSON.stringify(facts)}`;
  }
  return undefined;
}

function pathFor(shape: ProofShape, at: number, random: Random): string {
  const tail = ['', '/', '/x', 'x', '/x/y'][random(5)] ?? '';
  switch (shape) {
    case 'suffixes':
      return `/x/res${at}.json${random(6) === 0 ? tail : ''}`;
    case 'nested prefixes':
      return `/${Array.from({ length: (at % 12) + 1 }, (_, depth) => `p${depth}`).join('/')}/r${Math.floor(at / 12)}${tail}`;
    case 'templates':
      return `/x/res${at}${tail}`;
    default:
      return `/team${at % 50}/res${at}${tail}`;
  }
}

/** A request near rule `at`: every attribute is that of the rule, or with a small chance that of another one. */
function randomFacts(shape: ProofShape, rules: number, random: Random): RequestFacts {
  const rule = random(rules);
  const at = (): number => (random(8) === 0 ? random(rules) : rule);
  const path = pathFor(shape, at(), random);
  const sourceIp = shape === 'blocks' ? `10.${random(2)}.0.${random(4)}` : `10.${at() % 200}.3.4`;
  const method = ['GET', 'POST', 'PUT'][random(3)] ?? 'GET';
  const host = `h${at() % 20}.example`;
  const role = random(6) === 0 ? 'contractor' : `role-${at() % 37}`;
  const headerList = ['x-tenant', `tenant-${at() % 91}`];
  return {
    connection: { sourceIp, destinationIp: '192.0.2.77', destinationPort: 80, sni: '', tls: false },
    method,
    host,
    path,
    pathWithQuery: path,
    remoteIp: sourceIp,
    headerList,
    headerValues: (name) => (name === 'x-tenant' ? headerList.slice(1) : []),
    ...(random(10) === 0 ? {} : { claims: { iss: 'https://idp.example', sub: 'x', groups: random(2) === 0 ? role : ['other', role] } }),
  };
}
