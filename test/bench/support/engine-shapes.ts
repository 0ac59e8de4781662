/*
 * Programs and requests for the benchmark of the decision engine: a mix in Istio's style with requests that match the last rule, none, or
 * any, and the parts from which `engine-adversaries.ts` creates other programs.
 */

import { factsOf } from '../../../src/filters/request-facts.ts';
import { PreparedRequest } from '../../../src/http/normalize/prepared-request.ts';
import { parseJson } from '../../../src/jwt/parse-json.ts';
import type { ConnectionFacts, Json, RequestFacts } from '../../../src/policy/facts.ts';
import type { Clause, Program, Rule, Ruleset } from '../../../src/policy/model/program.ts';
import { createTokenNotes } from '../../../src/policy/token-notes.ts';

export type Claims = { readonly [key: string]: Json };

/** One rule of the mix, independent of an engine's language. */
export interface MixedRule {
  readonly method: string;
  /** Ends with `*` if it is a prefix. */
  readonly path: string;
  readonly principal: string;
  readonly group: string;
  /** `''`: any. */
  readonly host: string;
  /** `''`: any. */
  readonly tenant: string;
  /** `''`: any. */
  readonly block: string;
}

/** One request of the mix. */
export interface MixedRequest {
  readonly method: string;
  readonly path: string;
  readonly principal: string;
  readonly groups: readonly string[];
  readonly host: string;
  readonly tenant: string;
  readonly address: string;
}

export const ISSUER = 'https://accounts.example.com';

/** Rule `i` of the mix: always a method, path, principal and claim, sometimes a host, header or address. */
export function mixedRule(i: number): MixedRule {
  return {
    method: i % 4 === 0 ? 'POST' : 'GET',
    path: i % 2 === 0 ? `/api/v1/svc${i}/orders` : `/api/v1/svc${i}/*`,
    principal: `${ISSUER}/client-${i % 50}`,
    group: `group-${i % 20}`,
    host: i % 4 === 1 ? `svc${i % 100}.example.com` : '',
    tenant: i % 4 === 2 ? `tenant-${i % 10}` : '',
    block: i % 4 === 3 ? `10.${i % 200}.0.0/16` : '',
  };
}

/** A request that only rule `i` allows. */
export function requestFor(i: number): MixedRequest {
  return {
    method: i % 4 === 0 ? 'POST' : 'GET',
    path: `/api/v1/svc${i}/orders`,
    principal: `${ISSUER}/client-${i % 50}`,
    groups: ['everyone', `group-${i % 20}`],
    host: `svc${i % 100}.example.com`,
    tenant: `tenant-${i % 10}`,
    address: `10.${i % 200}.3.4`,
  };
}

/** Like the request for `i`, but no rule allows it: half of them have an unknown path, half another group. */
export function strayRequest(i: number): MixedRequest {
  const request = requestFor(i);
  return i % 2 === 0 ? { ...request, path: `/api/v2/svc${i}/orders` } : { ...request, groups: ['everyone', 'nobody'] };
}

export function stringClause(attribute: 'host' | 'method', field: string, value: string): readonly Clause[] {
  return value === '' ? [] : [{ attribute, field, anyOf: [{ kind: 'exact', value }] }];
}

export function pathClause(path: string): Clause {
  const match = path.endsWith('*') ? ({ kind: 'prefix', value: path.slice(0, -1) } as const) : ({ kind: 'exact', value: path } as const);
  return { attribute: 'path', field: 'paths', anyOf: [match] };
}

function principalClause(principal: string): Clause {
  const slash = principal.lastIndexOf('/');
  const iss = { kind: 'exact', value: principal.slice(0, slash) } as const;
  return {
    attribute: 'requestPrincipal',
    field: 'requestPrincipals',
    anyOf: [{ iss, sub: { kind: 'exact', value: principal.slice(slash + 1) } }],
  };
}

export function claimClause(name: string, value: string): Clause {
  return { attribute: 'claim', field: `request.auth.claims[${name}]`, path: [name], anyOf: [{ kind: 'exact', value }] };
}

export function ruleOf(i: number, parts: Pick<Rule, 'to' | 'from' | 'when'>): Rule {
  const name = `p${String(i).padStart(6, '0')}`;
  return {
    id: `ns[shop]-policy[${name}]-rule[0]`,
    source: { kind: 'AuthorizationPolicy', namespace: 'shop', name, generation: 1, rule: 0 },
    ...parts,
  };
}

function mixed(i: number): Rule {
  const { method, path, principal, group, host, tenant, block } = mixedRule(i);
  return ruleOf(i, {
    to: [[pathClause(path), ...stringClause('method', 'methods', method), ...stringClause('host', 'hosts', host)]],
    from: [[principalClause(principal), ...(block === '' ? [] : [{ attribute: 'sourceIp', field: 'ipBlocks', anyOf: [block] } as const])]],
    when: [
      claimClause('groups', group),
      ...(tenant === ''
        ? []
        : [
            {
              attribute: 'header',
              field: 'request.headers[x-tenant]',
              name: 'x-tenant',
              anyOf: [{ kind: 'exact', value: tenant }],
            } as const,
          ]),
    ],
  });
}

const NOTHING: Ruleset = {
  custom: [],
  audit: { attached: false, rules: [] },
  deny: { attached: false, rules: [] },
  allow: { attached: false, rules: [] },
  dryRunDeny: { attached: false, rules: [] },
  dryRunAllow: { attached: false, rules: [] },
};

export function programOf(rules: readonly Rule[], action: 'allow' | 'deny' = 'allow'): Program {
  const program: Program = {
    pathNormalization: 'BASE',
    trustedProxies: [],
    providers: [],
    http: { ...NOTHING, [action]: { attached: true, rules } },
    tcp: NOTHING,
  };
  // Flat strings, as in an agent, not concatenations.
  return JSON.parse(JSON.stringify(program)) as Program;
}

/** A program of `count` ALLOW rules in Istio's style. */
export function mixedProgram(count: number): Program {
  return programOf(Array.from({ length: count }, (_, i) => mixed(i)));
}

/** Headers of an ordinary request that no rule uses. */
const ORDINARY: readonly string[] = [
  'user-agent',
  'curl/8.9.1',
  'accept',
  '*/*',
  'accept-encoding',
  'gzip, br',
  'x-forwarded-proto',
  'https',
  'x-request-id',
  '7d9f3c52-8f0e-4c7b-9c0e-0f3a7b1d2c4e',
];

/** The string as a parser creates it from the bytes of a request. */
function fromWire(value: string): string {
  return Buffer.from(value, 'latin1').toString('latin1');
}

/** The claims of the verified token of this request. */
export function claimsOf({ principal, groups }: MixedRequest): Claims {
  const slash = principal.lastIndexOf('/');
  const claims: Claims = { iss: principal.slice(0, slash), sub: principal.slice(slash + 1), aud: 'shop', exp: 4_685_989_700, groups };
  return verified(claims);
}

/** Claims as the verifier parses them from a token. */
export function verified(claims: Claims): Claims {
  return parseJson(JSON.stringify(claims)) as Claims;
}

/** The request as the proxy passes it to the engine, with a token that no engine has seen. */
export function toFacts(request: MixedRequest, claims: Claims, headers: readonly string[] = []): RequestFacts {
  const prepared = new PreparedRequest(fromWire(request.method), [
    ...ORDINARY,
    'x-tenant',
    fromWire(request.tenant),
    ...headers.map(fromWire),
  ]);
  prepared.host = fromWire(request.host);
  prepared.target = fromWire(request.path);
  prepared.remoteIp = fromWire(request.address);
  const connection: ConnectionFacts = {
    sourceIp: prepared.remoteIp,
    destinationIp: '10.244.0.7',
    destinationPort: 8080,
    sni: '',
    tls: false,
  };
  return factsOf(prepared, connection, claims, createTokenNotes(claims));
}
