/*
 * Programs whose rules all constrain one attribute, each with another value, and a request that only the last rule allows. The engine
 * benchmark uses them to measure the cost of each attribute.
 */
import type { Clause, Rule, StringMatch } from '../../../src/policy/model/program.ts';
import type { Adversary } from './engine-adversaries.ts';
import { claimsOf, ISSUER, type MixedRequest, programOf, requestFor, ruleOf, toFacts, verified } from './engine-shapes.ts';

/** One attribute: the clause of rule `i`, and a request that it matches. */
interface Attribute {
  readonly name: string;
  readonly clause: (i: number) => Clause;
  readonly request?: (i: number) => Partial<MixedRequest>;
  readonly claims?: (i: number) => object;
  readonly headers?: (i: number) => readonly string[];
}

const exact = (value: string): StringMatch => ({ kind: 'exact', value });
const twoBytes = (i: number): string => `${(i >> 8) & 255}.${i & 255}`;

const ATTRIBUTES: readonly Attribute[] = [
  {
    name: 'methods',
    clause: (i) => ({ attribute: 'method', field: 'methods', anyOf: [exact(`VERB${i}`)] }),
    request: (i) => ({ method: `VERB${i}` }),
  },
  {
    name: 'paths',
    clause: (i) => ({ attribute: 'path', field: 'paths', anyOf: [{ kind: i % 2 === 0 ? 'exact' : 'prefix', value: `/api/v1/svc${i}/` }] }),
    request: (i) => ({ path: `/api/v1/svc${i}/` }),
  },
  {
    name: 'principals',
    clause: (i) => ({
      attribute: 'requestPrincipal',
      field: 'requestPrincipals',
      anyOf: [{ iss: exact(ISSUER), sub: exact(`client-${i}`) }],
    }),
    request: (i) => ({ principal: `${ISSUER}/client-${i}` }),
  },
  {
    name: 'claims',
    clause: (i) => ({ attribute: 'claim', field: 'request.auth.claims[team]', path: ['team'], anyOf: [exact(`team-${i}`)] }),
    claims: (i) => ({ team: `team-${i}` }),
  },
  {
    name: 'hosts',
    clause: (i) => ({ attribute: 'host', field: 'hosts', anyOf: [exact(`svc${i}.example.com`)] }),
    request: (i) => ({ host: `svc${i}.example.com` }),
  },
  {
    name: 'headers',
    clause: (i) => ({ attribute: 'header', field: 'request.headers[x-key]', name: 'x-key', anyOf: [exact(`key-${i}`)] }),
    headers: (i) => ['x-key', `key-${i}`],
  },
  {
    name: 'addresses',
    clause: (i) => ({ attribute: 'sourceIp', field: 'ipBlocks', anyOf: [`10.${twoBytes(i)}.0/24`] }),
    request: (i) => ({ address: `10.${twoBytes(i)}.7` }),
  },
];

function partsOf(clause: Clause): Pick<Rule, 'to' | 'from' | 'when'> {
  return { to: [[]], from: [[]], when: [clause] };
}

/** One program per attribute, of `count` rules each. */
export function attributePrograms(count: number): readonly Adversary[] {
  return ATTRIBUTES.map(({ name, clause, request, claims, headers }) => {
    const last = count - 1;
    const whole: MixedRequest = { ...requestFor(last), ...request?.(last) };
    const payload = { ...claimsOf(whole), ...claims?.(last) };
    return {
      name,
      program: () => programOf(Array.from({ length: count }, (_, i) => ruleOf(i, partsOf(clause(i))))),
      facts: () => toFacts(whole, verified(payload), headers?.(last)),
    };
  });
}
