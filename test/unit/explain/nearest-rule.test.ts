/*
 * Requests that miss one rule by a single clause: that rule has to be named first, with that clause and no other.
 */
import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import type { GeneratedClaims } from '../../../src/explain/generate/generated-request.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { createFilterChain } from '../../../src/filters/filter-chain.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, policy } from './support.ts';

const key = createTestKey();

/** A request in short form. */
interface Short {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: readonly string[];
  readonly sourceIp?: string;
  readonly port?: number;
  readonly claims?: GeneratedClaims;
  readonly peer?: string;
}

interface Case {
  readonly rule: object;
  readonly good: Short;
  /** The failing clause by the change that breaks it. */
  readonly breaks: readonly (readonly [clause: string, change: Short])[];
}

const bob = { iss: ISSUER, sub: 'bob' };
const web = 'spiffe://cluster.local/ns/web/sa/front';

const CASES: readonly Case[] = [
  {
    rule: { to: [{ operation: { methods: ['GET'], paths: ['/healthz'] } }] },
    good: { path: '/healthz', headers: ['user-agent', 'curl/8'] },
    breaks: [
      ['methods', { method: 'PATCH' }],
      ['methods', { method: 'DELETE' }],
      ['paths', { path: '/healthz/x' }],
      ['paths', { path: '/ready' }],
    ],
  },
  {
    rule: {
      from: [{ source: { requestPrincipals: [`${ISSUER}/*`] } }],
      to: [{ operation: { methods: ['GET', 'HEAD'], paths: ['/orders/*'] } }],
      when: [{ key: 'request.auth.claims[groups]', values: ['sales', 'support'] }],
    },
    good: { path: '/orders/1', claims: { ...bob, groups: ['sales'] } },
    breaks: [
      ['methods', { method: 'POST' }],
      ['methods', { method: 'PATCH' }],
      ['paths', { path: '/orders' }],
      ['paths', { path: '/invoices/1' }],
      ['claims[groups]', { claims: { ...bob, groups: ['ops'] } }],
      ['claims[groups]', { claims: { ...bob, groups: 'Sales' } }],
      ['claims[groups]', { claims: bob }],
      ['requestPrincipals', { claims: { iss: ISSUER, groups: ['sales'] } }],
    ],
  },
  {
    rule: {
      from: [{ source: { requestPrincipals: [`${ISSUER}/ci`], ipBlocks: ['10.20.0.0/16'] } }],
      to: [{ operation: { methods: ['POST'], paths: ['/deploy', '/rollback/{*}'], hosts: ['deploy.example'] } }],
    },
    good: { method: 'POST', path: '/deploy', host: 'deploy.example', sourceIp: '10.20.3.4', claims: { iss: ISSUER, sub: 'ci' } },
    breaks: [
      ['requestPrincipals', { claims: bob }],
      ['requestPrincipals', { claims: { iss: ISSUER, sub: 'CI' } }],
      ['ipBlocks', { sourceIp: '10.21.0.1' }],
      ['ipBlocks', { sourceIp: '192.0.2.9' }],
      ['methods', { method: 'PUT' }],
      ['paths', { path: '/deploy/' }],
      ['paths', { path: '/rollback/a/b' }],
      ['hosts', { host: 'deploy.example:8443' }],
      ['hosts', { host: 'www.example' }],
    ],
  },
  {
    rule: {
      from: [{ source: { principals: ['cluster.local/ns/web/sa/front'] } }],
      to: [{ operation: { methods: ['GET'], ports: ['9090'] } }],
      when: [{ key: 'request.headers[x-tenant]', values: ['red', 'blue'] }],
    },
    good: { path: '/items', port: 9090, peer: web, headers: ['x-tenant', 'red'] },
    breaks: [
      ['principals', { peer: 'spiffe://cluster.local/ns/web/sa/back' }],
      ['methods', { method: 'TRACE' }],
      ['ports', { port: 9091 }],
      ['headers[x-tenant]', { headers: ['x-tenant', 'green'] }],
      ['headers[x-tenant]', { headers: [] }],
      ['headers[x-tenant]', { headers: ['x-tenant', 'Red'] }],
    ],
  },
  {
    rule: {
      from: [{ source: { namespaces: ['batch'] } }, { source: { requestPrincipals: [`${ISSUER}/*`], remoteIpBlocks: ['203.0.113.0/24'] } }],
      to: [{ operation: { paths: ['/reports/{**}'] } }, { operation: { methods: ['OPTIONS'], paths: ['/reports'] } }],
    },
    good: { path: '/reports/2026/1', claims: bob, headers: ['x-forwarded-for', '203.0.113.9'] },
    breaks: [
      ['remoteIpBlocks', { headers: ['x-forwarded-for', '203.0.114.9'] }],
      ['requestPrincipals', { claims: { iss: ISSUER } }],
      ['paths', { path: '/report/2026' }],
    ],
  },
  {
    rule: {
      to: [{ operation: { methods: ['PUT', 'PATCH'], paths: ['/profile/{*}/photo'], hosts: ['*.users.example'] } }],
      when: [
        { key: 'request.auth.claims[scope]', values: ['write'] },
        { key: 'request.auth.claims[realm][zone]', values: ['eu'] },
        { key: 'request.auth.audiences', values: ['app'] },
        { key: 'source.ip', notValues: ['198.51.100.0/24'] },
      ],
    },
    good: {
      method: 'PUT',
      path: '/profile/7/photo',
      host: 'a.users.example',
      claims: { ...bob, scope: 'read write', realm: { zone: 'eu' }, aud: 'app' },
    },
    breaks: [
      ['methods', { method: 'DELETE' }],
      ['paths', { path: '/profile/7/8/photo' }],
      ['paths', { path: '/profile/7' }],
      ['hosts', { host: 'users.example' }],
      ['claims[scope]', { claims: { ...bob, scope: 'read', realm: { zone: 'eu' }, aud: 'app' } }],
      ['claims[realm][zone]', { claims: { ...bob, scope: 'write', realm: { zone: 'us' }, aud: 'app' } }],
      ['claims[realm][zone]', { claims: { ...bob, scope: 'write', realm: 'eu', aud: 'app' } }],
      ['audiences', { claims: { ...bob, scope: 'write', realm: { zone: 'eu' }, aud: 'web' } }],
      ['audiences', { claims: { ...bob, scope: 'write', realm: { zone: 'eu' } } }],
      ['source.ip', { sourceIp: '198.51.100.7' }],
    ],
  },
  {
    rule: {
      to: [{ operation: { methods: ['GET'], paths: ['/public/*'], notPaths: ['/public/internal/*'] } }],
      when: [{ key: 'request.headers[user-agent]', notValues: ['*bot*', 'curl/*'] }],
    },
    good: { path: '/public/a', headers: ['user-agent', 'Mozilla'] },
    breaks: [
      ['paths', { path: '/public/internal/a' }],
      ['paths', { path: '/publica' }],
      ['methods', { method: 'POST' }],
      ['methods', { method: 'HEAD' }],
      ['headers[user-agent]', { headers: ['user-agent', 'curl/8'] }],
      ['paths', { path: '/Public/a' }],
      ['paths', { path: '/' }],
      ['headers[user-agent]', { headers: ['user-agent', 'curl/7.88'] }],
    ],
  },
];

const policies: readonly Policy[] = [jwtPolicy(), ...CASES.map(({ rule }, at) => policy(`allow-${at}`, { rules: [rule] }))];
const enforced = enforce(policies, key);
/** The chain of an agent that names every miss in its access log. */
const chain = createFilterChain(enforced.program, enforced.keySets, { nameMiss: (misses, facts) => misses.nearest(facts) });

function requestOf({
  method = 'GET',
  path = '/',
  host = 'shop.example',
  headers = [],
  sourceIp = '192.0.2.1',
  port = 80,
  claims,
  peer,
}: Short): ReturnType<typeof get> {
  const token = claims === undefined ? [] : bearer(key.sign(claims));
  const connection = {
    sourceIp,
    destinationIp: '',
    destinationPort: port,
    sni: '',
    tls: peer !== undefined,
    ...(peer === undefined ? {} : { peer: { uris: [peer], dnsNames: [], subject: '' } }),
  };
  return get(path, [], { method, headers: ['Host', host, ...headers, ...token], connection });
}

describe('the nearest rule of a request that misses one clause', () => {
  it('has 48 cases', () => {
    expect(CASES.flatMap(({ breaks }) => breaks)).to.have.length(48);
  });

  for (const [at, { good, breaks }] of CASES.entries()) {
    it(`starts from a request that rule ${at} allows`, () => {
      const { verdict, decidedBy } = explainRequest(enforced, requestOf(good), NOW);

      expect([verdict.outcome, decidedBy.rule?.policy]).to.deep.equal(['allow', `foo/allow-${at}`]);
    });

    for (const [clause, change] of breaks) {
      it(`names ${clause} of rule ${at} for ${JSON.stringify(change)}`, () => {
        const { verdict, rules } = explainRequest(enforced, requestOf({ ...good, ...change }), NOW);
        const [nearest] = rules;

        expect(verdict.outcome).to.equal('deny');
        expect([nearest?.rule.policy, nearest?.failing]).to.deep.equal([`foo/allow-${at}`, 1]);
        expect(nearest?.misses[0]?.path).to.include(clause);
        const logged = chain.evaluate(requestOf({ ...good, ...change }), NOW).log.nearMiss;
        expect(logged).to.deep.include({ clause: nearest?.misses[0]?.path, failing: 1 });
        expect(logged?.source.name).to.equal(`allow-${at}`);
      });
    }
  }
});
