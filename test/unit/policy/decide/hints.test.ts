/*
 * Hints: mistakes in policies, and the sentences that name them.
 */
import { expect } from 'chai';
import { createLinearEvaluator } from '../../../../src/policy/decide/linear.ts';
import { parseRequestPrincipal } from '../../../../src/policy/match/request-principal.ts';
import { parseStringMatch } from '../../../../src/policy/match/string-match.ts';
import type { Clause } from '../../../../src/policy/model/program.ts';
import { engine, type FactsOver, factsWith, programOf, whenRule } from './fixtures.ts';

function hintOf(clause: Clause, over: FactsOver): string | undefined {
  return createLinearEvaluator(programOf({ allow: engine(whenRule(clause)) })).trace(factsWith(over))[0]?.misses[0]?.hint;
}

type Row = readonly [mistake: string, clause: Clause, over: FactsOver, hint: string | undefined];

const paths = (...values: string[]): Clause => ({
  attribute: 'path',
  field: 'operation.paths',
  anyOf: values.map((value) => (value.includes('{') ? { kind: 'template', value } : parseStringMatch(value))),
});
const sent = (pathWithQuery: string): FactsOver => ({ pathWithQuery });
const hosts = (...values: string[]): Clause => ({ attribute: 'host', field: 'operation.hosts', anyOf: values.map(parseStringMatch) });
const header = (name: string, value: string): Clause => ({ attribute: 'header', field: 'f', name, anyOf: [parseStringMatch(value)] });
const claim = (path: readonly string[], value = 'admin'): Clause => ({
  attribute: 'claim',
  field: 'f',
  path,
  anyOf: [parseStringMatch(value)],
});
const principals = (value: string): Clause => ({ attribute: 'requestPrincipal', field: 'f', anyOf: [parseRequestPrincipal(value)] });
const peers = (value: string): Clause => ({ attribute: 'peer', field: 'f', anyOf: [{ kind: 'exact', value: `spiffe://${value}` }] });
const from = (uri: string): FactsOver => ({ connection: { peer: { uris: [uri], dnsNames: [], subject: '' } } });
const address = (attribute: 'sourceIp' | 'remoteIp'): Clause => ({ attribute, field: 'f', anyOf: ['10.1.0.0/16'] });

const ROWS: readonly Row[] = [
  ['a prefix that starts after the slash', paths('/api/*'), sent('/api'), '/api/* does not match /api itself: add /api'],
  ['a prefix in another case', paths('/Api/*'), sent('/api/x'), 'differs only in case from /Api/*'],
  ['a query in a path', paths('/a?b=c'), sent('/a?b=c'), 'a path is compared without its query: write /a'],
  ['a query in another path', paths('/a?b=c'), sent('/x'), undefined],
  ['a path without its first slash', paths('admin'), sent('/admin'), 'a path starts with a slash: write /admin'],
  ['a space in a path', paths('/a b'), sent('/a%20b'), 'a path is compared as the client sends it, percent-encoded: write /a%20b'],
  ['* for a segment', paths('/a/*/b'), sent('/a/x/b'), '* inside a path is literal: write /a/{*}/b'],
  [
    '* in a segment',
    paths('/service/*health'),
    sent('/service/xhealth'),
    '* inside a path is literal; {*} matches one whole segment, {**} any number of segments',
  ],
  ['two * that do not match the path', paths('/a/*/b/*/c'), sent('/a/x/c'), undefined],
  [
    'one segment where two are sent',
    paths('/a/{*}/b'),
    sent('/a/x/y/b'),
    '{*} matches one segment: /a/{**}/b matches any number of segments',
  ],
  [
    'an encoded slash',
    paths('/a/b'),
    sent('/a%2fb'),
    'the path contains an encoded slash, which the path normalization DECODE_AND_MERGE_SLASHES would decode',
  ],
  ['two slashes', paths('/a/b'), sent('/a//b'), 'the path contains //, which the path normalization MERGE_SLASHES would merge'],
  ['a path parameter', paths('/admin'), sent('/admin;x=1'), 'everything after ; is part of the path: /admin;x=1'],
  ['an unrelated path', paths('/a', '*b', '*', '/x/{**}'), { pathWithQuery: '' }, undefined],

  ['a port that the client does not name', hosts('a.com:80'), { host: 'a.com' }, 'the client sends no port: add a.com'],
  ['a host with its scheme', hosts('https://a.com/x'), { host: 'a.com' }, 'a host has neither a scheme nor a path: write a.com'],
  ['a trailing dot of a host', hosts('a.com'), { host: 'a.com.' }, 'differs only in a trailing dot from a.com'],
  [
    'a long name of a Service',
    hosts('a.foo.svc.cluster.local'),
    { host: 'a.foo:80' },
    'hosts are compared as the client sends them: add a.foo:80',
  ],
  ['a short name of a Service', hosts('a.foo', '*.x'), { host: 'a.foo.svc' }, 'hosts are compared as the client sends them: add a.foo.svc'],

  [
    'a header with an underscore',
    header('x_tenant', 'a'),
    { headers: { 'x-tenant': ['a'] } },
    'header x_tenant is absent; the request has x-tenant',
  ],
  [
    'a header with a comma-separated list',
    header('x', 'b'),
    { headers: { x: ['a, b'] } },
    'the value is one string: it is not split at commas to find b',
  ],
  ['a header in another case', header('x', 'B*'), { headers: { x: ['bc'] } }, 'differs only in case from B*'],

  [
    'a claim in another case',
    claim(['Groups']),
    { claims: { groups: ['admin'] } },
    'claim Groups is absent; the token has groups: claim names are case-sensitive',
  ],
  [
    'dots for a nested claim',
    claim(['realm_access.roles']),
    { claims: { realm_access: { roles: ['admin'] } } },
    'claim realm_access.roles is absent; the token has it as request.auth.claims[realm_access][roles]',
  ],
  [
    'brackets for a claim with a dot in its name',
    claim(['kubernetes', 'io']),
    { claims: { 'kubernetes.io': 'admin' } },
    'claim kubernetes.io is absent; the token has it as request.auth.claims[kubernetes.io]',
  ],
  [
    'quotes around a claim',
    claim(['"groups"']),
    { claims: { groups: 'x' } },
    'claim "groups" is absent; the token has it as request.auth.claims[groups]',
  ],
  ['another claim inside an object', claim(['a', 'role']), { claims: { a: { roles: [] } } }, 'claim a.role is absent; a has roles'],
  ['a claim inside a string', claim(['a', 'role']), { claims: { a: 'x' } }, 'claim a is not an object, so a.role is absent'],
  ['an empty string where any value matches', claim(['g'], '*'), { claims: { g: '' } }, undefined],
  ['a claim that is null', claim(['g']), { claims: { g: null } }, 'claim g is null'],
  ['an object', claim(['g']), { claims: { g: { a: 1 } } }, 'claim g is an object; only strings and arrays of strings match'],
  ['a number that would not match', claim(['g']), { claims: { g: 7 } }, 'claim g is a number; only strings and arrays of strings match'],
  ['a claim that is not there', claim(['roles']), { claims: { iss: 'i', aud: 'a' } }, 'claim roles is absent; the token has aud, iss'],
  [
    'a string with spaces for an array',
    claim(['scp']),
    { claims: { scp: 'read admin' } },
    'claim scp is one string with spaces: add it to spaceDelimitedClaims of the JWT rule',
  ],
  [
    'a string with commas for an array',
    claim(['g']),
    { claims: { g: 'dev, admin' } },
    'claim g is one string with commas; only arrays are compared element by element',
  ],
  ['an array of objects', claim(['g']), { claims: { g: [{ name: 'admin' }] } }, 'claim g is an array without strings; only strings match'],

  [
    'a subject with a slash',
    principals('https://idp/repo:org/x'),
    { claims: { iss: 'https://idp', sub: 'repo:org/x' } },
    'the subject contains a slash, and a request principal is split at its last one: use request.auth.claims[iss] and [sub] under when',
  ],
  [
    'a subject alone',
    principals('bob'),
    { claims: { iss: 'https://idp', sub: 'bob' } },
    'a request principal is an issuer, a slash and a subject: write https://idp/bob',
  ],
  [
    'another subject',
    principals('https://idp/alice'),
    { claims: { iss: 'https://idp', sub: 'bob' } },
    'the issuer matches, but the subject is bob',
  ],
  ['another issuer', principals('https://other/bob'), { claims: { iss: 'https://idp', sub: 'bob' } }, undefined],

  [
    'an identity with its scheme',
    peers('spiffe://td/ns/a/sa/b'),
    from('spiffe://td/ns/a/sa/b'),
    'an identity is written without spiffe://: write td/ns/a/sa/b',
  ],
  [
    'another trust domain',
    peers('td/ns/a/sa/b'),
    from('spiffe://other/ns/a/sa/b'),
    'differs only in the trust domain: the peer has other, the policy says td',
  ],
  ['another peer', peers('td/ns/a/sa/b'), from('spiffe://td/ns/a/sa/c'), undefined],

  [
    'ipBlocks for an address in x-forwarded-for',
    address('sourceIp'),
    { headers: { 'x-forwarded-for': ['10.1.2.3'] }, connection: { sourceIp: '10.9.9.9' } },
    'x-forwarded-for contains 10.1.2.3, which remoteIpBlocks would match; the connection comes from 10.9.9.9',
  ],
  [
    'remoteIpBlocks for the address of the connection',
    address('remoteIp'),
    { remoteIp: '172.16.0.1', connection: { sourceIp: '10.1.0.1' } },
    'the connection comes from 10.1.0.1, which ipBlocks would match; x-forwarded-for makes the remote IP 172.16.0.1',
  ],
  [
    'an element of x-forwarded-for that does not count',
    address('remoteIp'),
    { remoteIp: '172.16.0.1', headers: { 'x-forwarded-for': ['10.1.2.3, 172.16.0.1'] } },
    'x-forwarded-for contains 10.1.2.3, but the remote IP is 172.16.0.1',
  ],
];

describe('the hint for a clause that does not hold', () => {
  for (const [mistake, clause, over, hint] of ROWS) {
    it(`names ${mistake}`, () => {
      expect(hintOf(clause, over)).to.equal(hint);
    });
  }

  it('is absent when the policy excludes the value', () => {
    expect(hintOf({ attribute: 'method', field: 'f', noneOf: [{ kind: 'exact', value: 'GET' }] }, {})).to.equal(undefined);
    const both: Clause = {
      attribute: 'path',
      field: 'f',
      anyOf: [{ kind: 'prefix', value: '/' }],
      noneOf: [{ kind: 'exact', value: '/p' }],
    };
    expect(hintOf(both, {})).to.equal(undefined);
  });
});
