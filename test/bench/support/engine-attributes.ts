/*
 * Programs whose rules all ask for one attribute, each rule for another value. In: a number of rules. Out: a program and a request
 * that its last rule alone allows, for each attribute. The engine's bench shows what an attribute costs by them.
 */
import type { Clause, Rule, StringMatch } from '../../../src/policy/model/program.ts';
import type { Adversary } from './engine-adversaries.ts';
import { claimsOf, ISSUER, type MixedRequest, programOf, requestFor, ruleOf, toFacts, verified } from './engine-shapes.ts';

/** One attribute: what rule `i` asks for, and a request that has it. */
interface Attribute {
  readonly name: string;
  readonly clause: (i: number) => Clause;
  readonly request?: (i: number) => Partial<MixedRequest>;
  readonly claims?: (i: number) => object;
  readonly headers?: (i: number) => readonly string[];
}

const exact = (value: string): StringMatch => ({ kind: 'exact', value });
const octets = (i: number): string => `${(i >> 8) & 255}.${i & 255}`;

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
    clause: (i) => ({ attribute: 'sourceIp', field: 'ipBlocks', anyOf: [`10.${octets(i)}.0/24`] }),
    request: (i) => ({ address: `10.${octets(i)}.7` }),
  },
];

function partsOf(clause: Clause): Pick<Rule, 'to' | 'from' | 'when'> {
  return { to: [[]], from: [[]], when: [clause] };
}

/** One program for each attribute. */
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
