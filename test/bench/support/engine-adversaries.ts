/*
 * Programs that are difficult for an index, each with requests that only its last rule decides. The engine benchmark measures them, and a
 * property test compares them with the linear evaluator.
 */

import type { Json, RequestFacts } from '../../../src/policy/facts.ts';
import type { Clause, Program, Rule, StringMatch } from '../../../src/policy/model/program.ts';
import {
  type Claims,
  claimClause,
  claimsOf,
  ISSUER,
  type MixedRequest,
  pathClause,
  programOf,
  requestFor,
  ruleOf,
  stringClause,
  toFacts,
  verified,
} from './engine-shapes.ts';

/** A program with its requests. */
export interface Adversary {
  readonly name: string;
  /** @param variants number of additional rules, each of which hits the requests of one variant and allows none */
  readonly program: (variants?: number) => Program;
  /** New facts for every call, with a token that no engine has seen. @param variant the additional rule that they hit */
  readonly facts: (variant?: number) => RequestFacts;
}

type Parts = Pick<Rule, 'to' | 'from' | 'when'>;

/** The description of a program; omitted members have default values. */
interface Shape {
  readonly name: string;
  readonly parts: (i: number) => Partial<Parts>;
  readonly request?: Partial<MixedRequest>;
  readonly claims?: Claims;
  readonly headers?: readonly string[];
  readonly action?: 'allow' | 'deny';
  /** Divides the number of rules, for programs with large rules. */
  readonly share?: number;
}

const ANY: readonly (readonly Clause[])[] = [[]];
const HERE = '/api/v1/orders';
/** Largest number of segments of the nested paths. */
const DEPTH = 100;

const exact = (value: string): StringMatch => ({ kind: 'exact', value });
const prefix = (value: string): StringMatch => ({ kind: 'prefix', value });
const suffix = (value: string): StringMatch => ({ kind: 'suffix', value });
const pathOf = (...anyOf: readonly (StringMatch | { readonly kind: 'template'; readonly value: string })[]): Clause => ({
  attribute: 'path',
  field: 'paths',
  anyOf,
});
const notPathOf = (...noneOf: readonly (StringMatch | { readonly kind: 'template'; readonly value: string })[]): Clause => ({
  attribute: 'path',
  field: 'notPaths',
  noneOf,
});
const claimOf = (path: readonly string[], ...anyOf: readonly StringMatch[]): Clause => ({
  attribute: 'claim',
  field: `request.auth.claims${path.map((key) => `[${key}]`).join('')}`,
  path,
  anyOf,
});
const headerOf = (name: string, ...anyOf: readonly StringMatch[]): Clause => ({
  attribute: 'header',
  field: `request.headers[${name}]`,
  name,
  anyOf,
});
const principalOf = (list: 'anyOf' | 'noneOf', sub: StringMatch): Clause => ({
  attribute: 'requestPrincipal',
  field: list === 'anyOf' ? 'requestPrincipals' : 'notRequestPrincipals',
  [list]: [{ iss: exact(ISSUER), sub }],
});
const addressOf = (attribute: 'remoteIp' | 'sourceIp', list: 'anyOf' | 'noneOf', ...blocks: readonly string[]): Clause => ({
  attribute,
  field: attribute,
  [list]: blocks,
});

const get = stringClause('method', 'methods', 'GET');
const to = (...clauses: readonly Clause[]): readonly (readonly Clause[])[] => [[...clauses, ...get]];
const same = to(pathClause(HERE));
const group = (i: number | string): Clause => claimClause('groups', `group-${i}`);
const ofGroups = (...groups: readonly (number | string)[]): Claims => ({ groups: ['everyone', ...groups.map((i) => `group-${i}`)] });
const nested = (i: number): string => '/a'.repeat((i % DEPTH) + 1);
const range = <T>(count: number, make: (i: number) => T): readonly T[] => Array.from({ length: count }, (_, i) => make(i));

function pathShapes(count: number): readonly Shape[] {
  const last = count - 1;
  const long = `/${'tenant-of-some-organisation/'.repeat(40)}`;
  return [
    {
      name: 'all suffix paths',
      parts: (i) => ({ to: to(pathOf(suffix(`/x/svc${i}`))) }),
      request: { path: `/a/b/x/svc${last}` },
    },
    {
      name: 'nested prefixes',
      parts: (i) => ({ to: to(pathOf(prefix(nested(i)))), when: [group(i === last ? 'last' : i % 50)] }),
      request: { path: nested(DEPTH - 1) },
      claims: ofGroups('last'),
    },
    {
      name: 'nested suffixes',
      parts: (i) => ({ to: to(pathOf(suffix(nested(i)))), when: [group(i === last ? 'last' : i % 50)] }),
      request: { path: nested(DEPTH - 1) },
      claims: ofGroups('last'),
    },
    {
      name: 'nested prefixes by claims, 100 each',
      parts: (i) => ({ to: to(pathOf(prefix(nested(i)))), when: [group(Math.floor(i / DEPTH))] }),
      request: { path: nested(DEPTH - 1) },
      claims: ofGroups(Math.floor(last / DEPTH)),
    },
    {
      name: 'prefixes that share 1 KB',
      parts: (i) => ({ to: to(pathOf(prefix(`${long}${i}/`))) }),
      request: { path: `${long}${last}/x` },
    },
    {
      name: 'a path of 60 KB under nested prefixes',
      parts: (i) => ({ to: to(pathOf(prefix(nested(i)))), when: [group(i === last ? 'last' : i % 50)] }),
      request: { path: '/a'.repeat(30_000) },
      claims: ofGroups('last'),
    },
    {
      name: 'all templates',
      parts: (i) => ({ to: to(pathOf({ kind: 'template', value: `/{*}/{*}/svc${i}/{**}` })) }),
      request: { path: `/a/b/svc${last}/x` },
    },
    {
      name: 'templates of varied depth',
      parts: (i) => ({ to: to(pathOf({ kind: 'template', value: `${'/{*}'.repeat(i % 40)}/svc${i}/{**}/end` })) }),
      request: { path: `${'/a'.repeat(last % 40)}/svc${last}/x/end` },
    },
    {
      name: 'templates that all fit but for a claim',
      parts: (i) => ({
        to: to(pathOf({ kind: 'template', value: range(14, (bit) => ((i >> bit) % 2 === 0 ? '/{*}' : '/a')).join('') })),
        when: [group(i === last ? 'last' : 'other')],
      }),
      request: { path: '/a'.repeat(14) },
      claims: ofGroups('last'),
    },
    {
      name: 'templates that all fit but for their end',
      parts: (i) => ({
        to: to(pathOf({ kind: 'template', value: `${range(14, (bit) => ((i >> bit) % 2 === 0 ? '/{*}' : '/a')).join('')}/svc${i}` })),
      }),
      request: { path: `${'/a'.repeat(14)}/svc${last}` },
    },
  ];
}

function tokenShapes(count: number): readonly Shape[] {
  const last = count - 1;
  const groups = range(1000, (i) => (i === 999 ? last : `mine-${i}`));
  return [
    { name: 'one path, a claim each', parts: (i) => ({ to: same, when: [group(i)] }), claims: ofGroups(last) },
    {
      name: 'one path, a principal prefix each',
      parts: (i) => ({ to: same, from: [[principalOf('anyOf', prefix(`team-${i}-`))]] }),
      claims: { sub: `team-${last}-7` },
    },
    {
      name: 'paths by claims, 100 each',
      parts: (i) => ({ to: to(pathOf(prefix(`/api/g${i % 100}/`))), when: [group(Math.floor(i / 100))] }),
      request: { path: `/api/g${last % 100}/x` },
      claims: ofGroups(Math.floor(last / 100)),
    },
    {
      name: 'a claim name each',
      parts: (i) => ({ to: same, when: [claimOf([`c${i}`], exact('yes'))] }),
      claims: { [`c${last}`]: 'yes' },
    },
    {
      name: '50 claim names, 200 rules each',
      parts: (i) => ({ to: same, when: [claimOf([`c${i % 50}`], exact(i === last ? 'yes' : 'no'))] }),
      claims: Object.fromEntries(range(50, (i) => [`c${i}`, 'yes'])),
    },
    {
      name: 'claims nested in one another',
      parts: (i) => ({ to: same, when: [claimOf([...range(i % 90, () => 'a'), 'x'], exact(`v${i}`))] }),
      claims: range(last % 90, () => 0).reduce<Claims>((inner) => ({ a: inner, x: 'no' }), { x: `v${last}` }),
    },
    { name: 'a token of 1,000 groups, one known', parts: (i) => ({ to: same, when: [group(i)] }), claims: ofGroups(...groups) },
    {
      name: 'a token of 1,000 groups, all known',
      parts: (i) => ({ to: i === last ? same : to(pathClause('/elsewhere')), when: [group(i % 1000)] }),
      claims: ofGroups(...range(1000, (i) => i)),
    },
    {
      name: '50 principals a rule',
      parts: (i) => ({
        to: to(pathOf(exact(HERE), exact('/'))),
        from: [
          [
            {
              attribute: 'requestPrincipal',
              field: 'requestPrincipals',
              anyOf: range(50, (k) => ({ iss: exact(ISSUER), sub: exact(`c${i}-${k}`) })),
            },
          ],
        ],
      }),
      claims: { sub: `c${count / 10 - 1}-49` },
      share: 10,
    },
    {
      name: '500 values a rule',
      parts: (i) => ({ to: same, when: [claimClauseOf(range(500, (k) => exact(`v${i}-${k}`)))] }),
      claims: { groups: [`v${Math.floor(count / 50) - 1}-499`] },
      share: 50,
    },
  ];
}

const claimClauseOf = (anyOf: readonly StringMatch[]): Clause => claimOf(['groups'], ...anyOf);

function negativeShapes(count: number): readonly Shape[] {
  const last = count - 1;
  const none = (clause: (isLast: boolean, i: number) => Clause): ((i: number) => Partial<Parts>) => {
    return (i) => ({ to: [[clause(i === last, i)]], when: [group('last')] });
  };
  const claims = ofGroups('last');
  return [
    { name: 'notPaths alone, one prefix', parts: none((isLast) => notPathOf(prefix(isLast ? '/none' : '/api'))), claims },
    {
      name: 'notPaths alone, nested',
      parts: none((isLast, i) => notPathOf(prefix(isLast ? '/none' : nested(i)))),
      request: { path: nested(DEPTH) + '/a'.repeat(DEPTH) },
      claims,
    },
    {
      name: 'notPaths alone, templates',
      parts: none((isLast, i) => notPathOf({ kind: 'template', value: isLast ? '/none/{*}' : `/{*}/v1/${i % 2 === 0 ? '{*}' : '{**}'}` })),
      claims,
    },
    {
      name: 'notPaths alone, a list each',
      parts: none((isLast, i) => notPathOf(...(isLast ? [] : [exact(HERE)]), ...range(10, (k) => exact(`/x/${i}/${k}`)))),
      claims,
    },
    {
      name: 'notRequestPrincipals alone',
      parts: (i) => ({ from: [[principalOf('noneOf', i === last ? exact('nobody') : prefix(i % 2 === 0 ? 'client' : 'client-'))]] }),
      action: 'deny',
    },
    {
      name: 'notIpBlocks alone',
      parts: none((isLast, i) => addressOf('remoteIp', 'noneOf', isLast ? '192.168.0.0/16' : `10.0.0.0/${8 + (i % 8)}`)),
      request: { address: '10.0.3.4' },
      claims,
    },
    {
      name: 'notValues of headers',
      parts: none((isLast, i) => ({
        attribute: 'header',
        field: 'request.headers[x]',
        name: `x-h${isLast ? 'none' : i % 20}`,
        noneOf: [exact('on')],
      })),
      headers: range(20, (i) => [`x-h${i}`, 'on']).flat(),
      claims,
    },
  ];
}

function otherShapes(count: number): readonly Shape[] {
  const last = count - 1;
  const block = (i: number): string => `10.${(i >> 8) & 255}.${i & 255}.0/24`;
  return [
    { name: 'a header name each', parts: (i) => ({ to: same, when: [headerOf(`x-h${i}`, exact('on'))] }), headers: [`x-h${last}`, 'on'] },
    {
      name: '50 header names, 200 rules each',
      parts: (i) => ({ to: same, when: [headerOf(`x-h${i % 50}`, exact(i === last ? 'on' : 'off'))] }),
      headers: range(50, (i) => [`x-h${i}`, 'on']).flat(),
    },
    {
      name: 'a header, a value each',
      parts: (i) => ({ to: same, when: [headerOf('x-key', exact(`v${i}`))] }),
      headers: ['x-key', `v${last}`],
    },
    {
      name: 'a CIDR block each',
      parts: (i) => ({ to: same, from: [[addressOf('remoteIp', 'anyOf', block(i))]] }),
      request: { address: block(last).replace('0/24', '9') },
    },
    {
      name: 'nested CIDR blocks by claims',
      parts: (i) => ({
        to: same,
        from: [[addressOf('remoteIp', 'anyOf', `10.0.0.0/${8 + (i % 20)}`)]],
        when: [group(i === last ? 'last' : i % 50)],
      }),
      request: { address: '10.0.0.4' },
      claims: ofGroups('last'),
    },
    {
      name: '50 CIDR blocks a rule',
      parts: (i) => ({
        to: same,
        from: [
          [addressOf('remoteIp', 'anyOf', ...range(50, (k) => `10.${(i >> 3) & 255}.${((i & 7) << 5) | (k >> 1)}.${(k & 1) * 128}/25`))],
        ],
      }),
      request: { address: `10.${((count / 10 - 1) >> 3) & 255}.${((count / 10 - 1) & 7) << 5}.4` },
      share: 10,
    },
    {
      name: 'a host suffix each',
      parts: (i) => ({ to: to({ attribute: 'host', field: 'hosts', anyOf: [suffix(`.t${i}.example.com`)] }) }),
      request: { host: `A.t${last}.example.com` },
    },
    {
      name: 'hosts by paths by claims, 22 each',
      parts: (i) => ({
        to: to({ attribute: 'host', field: 'hosts', anyOf: [exact(`h${i % 22}`)] }, pathOf(prefix(`/p${Math.floor(i / 22) % 22}/`))),
        when: [group(Math.floor(i / 484))],
      }),
      request: { host: `h${last % 22}`, path: `/p${Math.floor(last / 22) % 22}/x` },
      claims: ofGroups(Math.floor(last / 484)),
    },
    {
      name: 'nine entries a rule',
      parts: (i) => ({
        to: range(3, (k) => [pathOf(prefix(`/s${(i + k * 7) % 40}/`)), ...get]),
        from: range(3, (k) => [principalOf('anyOf', exact(`u${(i * 3 + k) % 60}`))]),
        when: [group(i === last ? 'last' : i % 90)],
      }),
      request: { path: `/s${last % 40}/x` },
      claims: { ...ofGroups('last', ...range(40, (i) => i)), sub: `u${(last * 3) % 60}` },
    },
  ];
}

const VARIANT = 'x-variant';

function variantRule(i: number): Rule {
  return ruleOf(i, { to: ANY, from: ANY, when: [headerOf(VARIANT, exact(`v${i}`)), group('of-nobody')] });
}

function adversary({ name, parts, request, claims, headers, action, share = 1 }: Shape, count: number): Adversary {
  const rules = Math.max(1, Math.floor(count / share));
  const whole: MixedRequest = { ...requestFor(0), method: 'GET', path: HERE, ...request };
  const payload: { readonly [key: string]: Json } = { ...claimsOf(whole), groups: ['everyone'], ...claims };
  return {
    name: share === 1 ? name : `${name} (${rules} rules)`,
    program: (variants = 0) =>
      programOf(
        [...range(variants, variantRule), ...range(rules, (i) => ruleOf(variants + i, { to: ANY, from: ANY, when: [], ...parts(i) }))],
        action,
      ),
    facts: (variant) => toFacts(whole, verified(payload), variant === undefined ? headers : [VARIANT, `v${variant}`, ...(headers ?? [])]),
  };
}

/** All difficult programs, of `count` rules each. */
export function adversaries(count: number): readonly Adversary[] {
  const shapes = [...pathShapes(count), ...tokenShapes(count), ...negativeShapes(count), ...otherShapes(count)];
  return shapes.map((shape) => adversary(shape, count));
}
