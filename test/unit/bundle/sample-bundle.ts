/* A bundle with one clause of every kind, for the tests of the wire format. */
import { BUNDLE_SCHEMA, type Bundle } from '../../../src/bundle/bundle.ts';
import type { Clause, Engine, Rule, Ruleset } from '../../../src/policy/model/program.ts';

const exact = { kind: 'exact', value: 'x' } as const;
const present = { kind: 'present' } as const;

/** One clause of every kind. */
export const EVERY_CLAUSE: readonly Clause[] = [
  { attribute: 'host', field: 'hosts', anyOf: [exact, { kind: 'prefix', value: 'x' }] },
  { attribute: 'method', field: 'methods', noneOf: [present] },
  { attribute: 'sni', field: 'connection.sni', anyOf: [{ kind: 'suffix', value: 'x' }] },
  { attribute: 'path', field: 'paths', anyOf: [{ kind: 'template', value: '/a/{*}' }, present], noneOf: [exact] },
  { attribute: 'header', field: 'request.headers[x]', name: 'x', anyOf: [exact] },
  { attribute: 'sourceIp', field: 'ipBlocks', anyOf: ['10.0.0.0/8'] },
  { attribute: 'remoteIp', field: 'remoteIpBlocks', noneOf: ['2001:db8::/32'] },
  { attribute: 'destinationIp', field: 'destination.ip', anyOf: ['10.1.2.3/32'] },
  { attribute: 'destinationPort', field: 'ports', anyOf: [80] },
  {
    attribute: 'peer',
    field: 'principals',
    anyOf: [
      exact,
      present,
      { kind: 'spiffeSuffix', value: 'x' },
      { kind: 'namespace', pattern: 'a*' },
      { kind: 'serviceAccount', namespace: 'a', name: 'b' },
      { kind: 'trustDomain', prefix: 'a', suffix: 'b' },
    ],
  },
  { attribute: 'requestPrincipal', field: 'requestPrincipals', anyOf: [{ iss: exact, sub: present }] },
  { attribute: 'claim', field: 'request.auth.claims[a][b]', path: ['a', 'b'], anyOf: [exact] },
  { attribute: 'metadata', field: 'experimental.envoy.filters.f[k]', filter: 'envoy.filters.f', path: ['k'], list: true, anyOf: [exact] },
];

const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'p', generation: 3, rule: 0 } as const;
const rule: Rule = { id: 'ns[foo]-policy[p]-rule[0]', source, from: [[]], to: [EVERY_CLAUSE], when: [] };
const none: Engine = { attached: false, rules: [] };
const rules: Ruleset = {
  custom: [
    {
      name: 'opa',
      rules: [rule],
      provider: {
        name: 'opa',
        protocol: 'http',
        service: 'opa.default',
        port: 80,
        timeoutMs: 600_000,
        failOpen: false,
        statusOnError: 403,
      },
    },
    { name: 'other', rules: [], refusal: 'unknown provider' },
  ],
  audit: none,
  deny: none,
  allow: { attached: true, rules: [rule] },
  dryRunDeny: none,
  dryRunAllow: none,
};

export const SAMPLE: Bundle = {
  schema: BUNDLE_SCHEMA,
  workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
  relevantLabels: ['app', 'version'],
  variants: [
    { labels: { app: 'httpbin' }, program: 0 },
    { labels: { app: 'httpbin', version: 'v2' }, program: 0 },
  ],
  programs: [
    {
      pathNormalization: 'BASE',
      trustedProxies: [],
      providers: [
        {
          name: 'origins-0',
          source: { ...source, kind: 'RequestAuthentication' },
          issuer: 'i',
          audiences: [],
          headers: [{ name: 'authorization', prefix: 'Bearer ' }],
          params: ['access_token'],
          cookies: [],
          forward: false,
          payloadHeader: '',
          claimHeaders: [{ header: 'x-sub', claim: 'sub' }],
          spaceDelimitedClaims: ['permission', 'scope'],
          keySet: 'inline-1',
          required: false,
        },
      ],
      http: rules,
      tcp: rules,
    },
  ],
  keySets: { 'inline-1': { source: 'inline', keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB' }] } },
};
