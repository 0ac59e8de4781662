/*
 * Programs and requests for the bench of the decision engine. In: a number of rules. Out: a program of Istio's shape, or one
 * that defeats plain indexes, with requests that match the last rule, none, or any.
 */
import type { Clause, Program, Rule, Ruleset } from '../../../src/policy/model/program.ts';
import type { ConnectionFacts, Json, RequestFacts } from '../../../src/policy/request/facts.ts';
import { factsOf } from '../../../src/policy/request/http-facts.ts';
import { PreparedRequest } from '../../../src/policy/request/prepared-request.ts';

export type Claims = { readonly [key: string]: Json };

/** One rule of the mix in plain words, which every engine is given in its own language. */
export interface MixedRule {
  readonly method: string;
  /** Ends with `*` when it is a prefix. */
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

/** One request of the mix in plain words. */
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

/** Rule `i` of the mix: methods, paths, principals and claims always, hosts, headers and addresses now and then. */
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

/** A request that rule `i`, and no other, allows. */
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

/** Like the request for `i`, but nobody allows it: half of them have an unknown path, half a group that is not theirs. */
export function strayRequest(i: number): MixedRequest {
  const request = requestFor(i);
  return i % 2 === 0 ? { ...request, path: `/api/v2/svc${i}/orders` } : { ...request, groups: ['everyone', 'nobody'] };
}

function stringClause(attribute: 'host' | 'method', field: string, value: string): readonly Clause[] {
  return value === '' ? [] : [{ attribute, field, anyOf: [{ kind: 'exact', value }] }];
}

function pathClause(path: string): Clause {
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

function claimClause(name: string, value: string): Clause {
  return { attribute: 'claim', field: `request.auth.claims[${name}]`, path: [name], anyOf: [{ kind: 'exact', value }] };
}

function ruleOf(i: number, parts: Pick<Rule, 'to' | 'from' | 'when'>): Rule {
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

function programOf(rules: readonly Rule[]): Program {
  const program: Program = {
    pathNormalization: 'BASE',
    trustedProxies: [],
    providers: [],
    http: { ...NOTHING, allow: { attached: true, rules } },
    tcp: NOTHING,
  };
  // As it arrives in an agent: texts that are whole, not put together from parts.
  return JSON.parse(JSON.stringify(program)) as Program;
}

/** `count` rules of Istio's shape under ALLOW. */
export function mixedProgram(count: number): Program {
  return programOf(Array.from({ length: count }, (_, i) => mixed(i)));
}

/** Headers of an ordinary request, beside those that rules ask for. */
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

/** The text as a parser cuts it out of the bytes of a request. */
function fromWire(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** The claims that a verified token of this request carries. */
export function claimsOf({ principal, groups }: MixedRequest): Claims {
  const slash = principal.lastIndexOf('/');
  const claims: Claims = { iss: principal.slice(0, slash), sub: principal.slice(slash + 1), aud: 'shop', exp: 4_685_989_700, groups };
  return JSON.parse(JSON.stringify(claims)) as Claims;
}

/** The request as the proxy hands it to the engine. */
export function toFacts(request: MixedRequest, claims: Claims): RequestFacts {
  const prepared = new PreparedRequest(fromWire(request.method), [...ORDINARY, 'x-tenant', fromWire(request.tenant)]);
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
  return factsOf(prepared, connection, claims);
}

/** A program against which plain indexes help little, with a request that its last rule alone allows. */
export interface Adversary {
  readonly name: string;
  readonly program: Program;
  readonly facts: readonly RequestFacts[];
}

const everyone: MixedRequest = { ...requestFor(0), method: 'GET' };

function adversary(
  name: string,
  count: number,
  rule: (i: number) => Pick<Rule, 'to' | 'from' | 'when'>,
  request: MixedRequest,
  claims: Claims,
): Adversary {
  const rules = Array.from({ length: count }, (_, i) => ruleOf(i, rule(i)));
  return { name, program: programOf(rules), facts: [toFacts(request, claims)] };
}

/** Segments of the nested paths. */
const DEPTH = 100;

function nested(i: number): string {
  return '/a'.repeat((i % DEPTH) + 1);
}

/** The shapes that defeat an index by itself. */
export function adversaries(count: number): readonly Adversary[] {
  const last = count - 1;
  const any: readonly (readonly Clause[])[] = [[]];
  const toPath = (match: Clause): readonly (readonly Clause[])[] => [[match, ...stringClause('method', 'methods', 'GET')]];
  const same = toPath(pathClause('/api/v1/orders'));
  const base = { ...everyone, path: '/api/v1/orders' };
  const group = (i: number): readonly Clause[] => [claimClause('groups', `group-${i}`)];
  const claims = { ...claimsOf(everyone), groups: ['everyone', `group-${last}`] };
  const suffix = (i: number): Clause => ({ attribute: 'path', field: 'paths', anyOf: [{ kind: 'suffix', value: `/x/svc${i}` }] });
  const principal = (i: number): Clause => ({
    attribute: 'requestPrincipal',
    field: 'requestPrincipals',
    anyOf: [{ iss: { kind: 'exact', value: ISSUER }, sub: { kind: 'prefix', value: `team-${i}-` } }],
  });
  const grid = (i: number): Pick<Rule, 'to' | 'from' | 'when'> => ({
    to: toPath(pathClause(`/api/g${i % 100}/*`)),
    from: any,
    when: [claimClause('groups', `group-${Math.floor(i / 100)}`)],
  });
  const nestedByGroup =
    (groups: number) =>
    (i: number): Pick<Rule, 'to' | 'from' | 'when'> => ({
      to: toPath({ attribute: 'path', field: 'paths', anyOf: [{ kind: 'prefix', value: nested(i) }] }),
      from: any,
      when: groups === 0 ? group(Math.floor(i / 100)) : group(i === last ? -1 : i % groups),
    });
  const ofGroup = (i: number): Claims => ({ ...claims, groups: ['everyone', `group-${i}`] });
  const shutOut = (i: number): Pick<Rule, 'to' | 'from' | 'when'> => ({
    to: [[{ attribute: 'path', field: 'paths', noneOf: [{ kind: 'prefix', value: i === last ? '/none' : '/api' }] }]],
    from: any,
    when: group(last),
  });
  const template = (i: number): Clause => ({
    attribute: 'path',
    field: 'paths',
    anyOf: [{ kind: 'template', value: `/{*}/{*}/svc${i}/{**}` }],
  });
  return [
    adversary(
      'all suffix paths',
      count,
      (i) => ({ to: toPath(suffix(i)), from: any, when: [] }),
      { ...base, path: `/a/b/x/svc${last}` },
      claims,
    ),
    adversary('nested prefixes', count, nestedByGroup(50), { ...base, path: nested(DEPTH - 1) }, ofGroup(-1)),
    adversary(
      'nested prefixes by claims, 100 each',
      count,
      nestedByGroup(0),
      { ...base, path: nested(DEPTH - 1) },
      ofGroup(Math.floor(last / 100)),
    ),
    adversary('one path, a claim each', count, (i) => ({ to: same, from: any, when: group(i) }), base, claims),
    adversary('one path, a principal prefix each', count, (i) => ({ to: same, from: [[principal(i)]], when: [] }), base, {
      ...claims,
      sub: `team-${last}-7`,
    }),
    adversary(
      'paths by claims, 100 each',
      count,
      grid,
      { ...base, path: `/api/g${last % 100}/x` },
      {
        ...claims,
        groups: ['everyone', `group-${Math.floor(last / 100)}`],
      },
    ),
    adversary('negatives alone', count, shutOut, base, claims),
    adversary(
      'all templates',
      count,
      (i) => ({ to: toPath(template(i)), from: any, when: [] }),
      { ...base, path: `/a/b/svc${last}/x` },
      claims,
    ),
  ];
}
