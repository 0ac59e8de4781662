/*
 * Incidents of other products with paths, hosts and headers, replayed on the whole filter chain. The test names give the
 * identifiers; `docs/explain/incidents.md` lists them with their countermeasures.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { PathNormalization } from '../../../src/api/mesh-config.ts';
import { pathOf } from '../../../src/filters/request-facts.ts';
import type { Verdict } from '../../../src/filters/verdict.ts';
import type { RawRequest } from '../../../src/http/heads.ts';
import { allow, CONNECTION, deny, filterChainOf, paths, policy, raw, verdictOf } from '../filters/chains.ts';
import { NOW } from '../jwt/tokens.ts';

const MODES: readonly PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];
const kindOf = (policies: readonly object[], request: RawRequest): Verdict['kind'] => filterChainOf(policies).evaluate(request, NOW).kind;
const peer = (uri: string): Partial<RawRequest> => ({
  connection: { ...CONNECTION, tls: true, peer: { uris: [uri], dnsNames: [], subject: '' } },
});
const source = (fields: object): object => ({ from: [{ source: fields }] });
const operation = (fields: object): object => ({ to: [{ operation: fields }] });
const when = (key: string, fields: object): object => ({ when: [{ key, ...fields }] });

/** Names with characters that are special in regular expressions, and names that differ from them in one place. */
const META = fc.string({
  unit: fc.constantFrom('a', 'b', '.', '[', ']', '*', '+', '(', ')', '\\', '$', '^', '|', '?', '{', '}'),
  minLength: 1,
  maxLength: 6,
});
const NEAR = fc
  .tuple(META, fc.nat(5), fc.constantFrom('', 'X', 'a', '.'))
  .map(([name, at, put]) => ({ name, near: name.slice(0, at) + put + name.slice(at + 1) }));

/** The forms of a string match and what each matches, taken literally. */
const FORMS: readonly (readonly [name: string, write: (name: string) => string, test: (value: string, name: string) => boolean])[] = [
  ['exact', (name) => name, (value, name) => value === name],
  ['prefix', (name) => `${name}*`, (value, name) => value.startsWith(name)],
  ['suffix', (name) => `*${name}`, (value, name) => value.endsWith(name)],
];

/** For each field with strings: a rule with a pattern there, and a request with a value there. */
const FIELDS: Readonly<Record<string, (pattern: string, value: string) => readonly [rule: object, request: RawRequest]>> = {
  methods: (pattern, value) => [operation({ methods: [pattern] }), raw('/', [], { version: '2', authority: 'h', method: value })],
  'request.headers': (pattern, value) => [when('request.headers[x]', { values: [pattern] }), raw('/', ['x', value])],
  'connection.sni': (pattern, value) => [
    when('connection.sni', { values: [pattern] }),
    raw('/', [], { connection: { ...CONNECTION, sni: value } }),
  ],
  principals: (pattern, value) => [
    source({ principals: [pattern.startsWith('*') ? pattern : `td/${pattern}`] }),
    raw('/', [], peer(`spiffe://td/${value}`)),
  ],
};

describe('incidents with strings in policies', () => {
  for (const [field, bring] of Object.entries(FIELDS)) {
    for (const [form, write, test] of FORMS) {
      it(`I#59992: ${field} matches literally, as ${form}, in ALLOW and in DENY`, () => {
        fc.assert(
          fc.property(NEAR, ({ name, near }) => {
            // A star at an end makes it another form.
            fc.pre(!name.startsWith('*') && !name.endsWith('*'));
            for (const value of [name, near, `x${name}`, `${name}x`]) {
              const [rule, request] = bring(write(name), value);
              const matches = test(field === 'principals' && form === 'suffix' ? `td/${value}` : value, name);
              expect(kindOf([allow('a', rule)], request) === 'forward', JSON.stringify({ name, value })).to.equal(matches);
              expect(kindOf([deny('a', rule)], request) === 'forward', JSON.stringify({ name, value })).to.equal(!matches);
            }
          }),
          { numRuns: 60 },
        );
      });
    }
  }

  it('CVE-2026-39350: a service account with a dot is not a pattern', () => {
    fc.assert(
      fc.property(NEAR, NEAR, (namespace, account) => {
        for (const [ns, sa] of [
          [namespace.name, account.name],
          [namespace.near, account.name],
          [namespace.name, account.near],
        ] as const) {
          fc.pre(ns !== '' && sa !== '');
          const request = raw('/', [], peer(`spiffe://td/ns/${ns}/sa/${sa}`));
          const same = ns === namespace.name && sa === account.name;
          const rule = source({ serviceAccounts: [`${namespace.name}/${account.name}`] });
          expect(kindOf([allow('a', rule)], request) === 'forward').to.equal(same);
          expect(kindOf([deny('a', rule)], request) === 'forward').to.equal(!same);
        }
      }),
      { numRuns: 100 },
    );
    expect(kindOf([allow('a', source({ serviceAccounts: ['ns/a.b'] }))], raw('/', [], peer('spiffe://td/ns/ns/sa/aXb')))).to.equal('reply');
  });

  it('I#59992: a namespace is a pattern only by its stars', () => {
    for (const [pattern, namespace, matches] of [
      ['a.b', 'a.b', true],
      ['a.b', 'aXb', false],
      ['a[b]', 'ab', false],
      ['a|b', 'b', false],
      ['a*', 'a.x', true],
      ['*b', 'x.b', true],
      ['a', 'ab', false],
      ['a', 'xa', false],
    ] as const) {
      const rule = source({ namespaces: [pattern] });
      const request = raw('/', [], peer(`spiffe://td/ns/${namespace}/sa/x`));
      expect(kindOf([allow('a', rule)], request) === 'forward', `${pattern} ${namespace}`).to.equal(matches);
      expect(kindOf([deny('a', rule)], request) === 'forward', `${pattern} ${namespace}`).to.equal(!matches);
    }
  });
});

describe('incidents with headers', () => {
  const admin = when('request.headers[x-role]', { values: ['admin'] });
  const notAdmin = when('request.headers[x-role]', { notValues: ['admin'] });

  it('CVE-2026-26308: each of several headers is matched separately, in any case and order', () => {
    for (const headers of [
      ['X-Role', 'user', 'X-Role', 'admin'],
      ['x-role', 'admin', 'X-ROLE', 'user'],
      ['X-Role', 'a', 'x-Role', 'b', 'X-role', 'admin'],
    ]) {
      expect(kindOf([deny('a', admin)], raw('/', headers)), headers.join(' ')).to.equal('reply');
      expect(kindOf([allow('a', notAdmin)], raw('/', headers)), headers.join(' ')).to.equal('reply');
      expect(kindOf([allow('a', admin)], raw('/', headers)), headers.join(' ')).to.equal('forward');
    }
    // A comma inside one header does not separate values: it is another value.
    expect(kindOf([deny('a', admin)], raw('/', ['X-Role', 'user,admin']))).to.equal('forward');
    expect(kindOf([allow('a', admin)], raw('/', ['X-Role', 'admin,user']))).to.equal('reply');
  });

  it('CVE-2026-26308: every instance reaches the upstream, in order', () => {
    const { head } = verdictOf('forward', filterChainOf([]), raw('/', ['X-Role', 'a', 'x-role', 'b']));
    expect(head.headers.slice(0, 4)).to.deep.equal(['x-role', 'a', 'x-role', 'b']);
  });

  it('CVE-2023-27487: a path in a header is neither evaluated nor forwarded as the path', () => {
    for (const name of [
      'x-envoy-original-path',
      'x-original-url',
      'x-rewrite-url',
      'x-forwarded-uri',
      'x-forwarded-prefix',
      'x-original-method',
      'x-http-method-override',
    ]) {
      expect(kindOf([allow('a', paths('/ok'))], raw('/secret', [name, '/ok'])), name).to.equal('reply');
      const { head } = verdictOf('forward', filterChainOf([deny('a', paths('/secret'))]), raw('/ok', [name, '/secret']));
      expect(head.target).to.equal('/ok');
    }
  });

  it("CVE-2024-45806: headers that only a proxy may set are dropped, whatever the client's address", () => {
    for (const sourceIp of ['10.0.0.9', '192.168.1.1', '127.0.0.1', '203.0.113.1']) {
      const request = raw(
        '/',
        [
          'X-Envoy-Internal',
          'true',
          'X-Envoy-Max-Retries',
          '9',
          'X-Envoy-Force-Trace',
          '1',
          'X-Envoy-Decorator-Operation',
          'admin',
          'X-Forwarded-Client-Cert',
          'URI=spiffe://td/ns/a/sa/b',
        ],
        {
          connection: { ...CONNECTION, sourceIp },
        },
      );
      const { head } = verdictOf('forward', filterChainOf([]), request);
      expect(head.headers).to.deep.equal(['x-forwarded-proto', 'http']);
      expect(kindOf([allow('a', source({ principals: ['*'] }))], request)).to.equal('reply');
    }
  });

  it('GHSA-5hvv: no header lets a request bypass the policies', () => {
    for (const headers of [
      ['User-Agent', 'kube-probe/1.34'],
      ['User-Agent', 'GoogleHC/1.0'],
      ['X-Forwarded-For', '127.0.0.1'],
      ['X-Request-Id', '1'],
      ['Upgrade', 'h2c'],
      ['X-Envoy-Internal', 'true'],
      ['Connection', 'x-role'],
    ]) {
      expect(kindOf([deny('a', {})], raw('/', headers)), headers.join(': ')).to.equal('reply');
    }
  });

  it('X-Forwarded-For: only the last element counts, and only a bare address', () => {
    const inside = allow('a', source({ remoteIpBlocks: ['10.0.0.0/8'] }));
    const outside = { connection: { ...CONNECTION, sourceIp: '203.0.113.1' } };
    for (const [value, kind] of [
      ['10.1.1.1', 'forward'],
      ['10.1.1.1, 203.0.113.9', 'reply'],
      ['10.1.1.1,', 'reply'],
      ['10.1.1.1:80', 'reply'],
      ['[10.1.1.1]', 'reply'],
      ['010.1.1.1', 'reply'],
      ['167837953', 'reply'],
      ['0x0a.1.1.1', 'reply'],
      ['10.1.1', 'reply'],
      ['::ffff:10.1.1.1', 'reply'],
    ] as const) {
      expect(kindOf([inside], raw('/', ['X-Forwarded-For', value], outside)), value).to.equal(kind);
    }
  });
});

describe('incidents with paths and hosts', () => {
  it('CVE-2020-8595, CVE-2021-39156, GHSA-pxq7: query and fragment do not hide a path, and a fragment is not forwarded', () => {
    for (const target of [
      '/admin',
      '/admin?',
      '/admin?x',
      '/admin#a',
      '/admin#',
      '/admin?x#y',
      '/admin#?x',
      'http://h/admin?x',
      'http://h/admin#x',
    ]) {
      for (const pathNormalization of MODES) {
        expect(
          filterChainOf([deny('a', paths('/admin'))], { mesh: { pathNormalization } }).evaluate(raw(target), NOW).kind,
          `${pathNormalization} ${target}`,
        ).to.equal('reply');
      }
      const verdict = filterChainOf([allow('a', paths('/admin'))]).evaluate(raw(target), NOW);
      if (verdict.kind === 'forward') expect(verdict.head.target, target).not.to.contain('#');
    }
    for (const target of ['/admin%3f', '/admin;a=b', '/Admin', '/admin/', '/admin%23']) {
      expect(kindOf([deny('a', paths('/admin'))], raw(target)), target).to.equal('forward');
    }
    for (const [method, target] of [
      ['GET', '*'],
      ['OPTIONS', '*'],
      ['GET', 'admin'],
      ['CONNECT', 'admin'],
      ['CONNECT', '/admin'],
    ] as const) {
      expect(kindOf([allow('a', {})], raw(target, [], { method })), `${method} ${target}`).to.equal('reply');
    }
  });

  /** Spellings of `/admin`, with the first mode that normalizes them; `false`: another path in every mode. */
  const SPELLINGS: readonly (readonly [target: string, from: PathNormalization | false])[] = [
    ['/admin', 'NONE'],
    ['/./admin', 'BASE'],
    ['/x/../admin', 'BASE'],
    ['/x/y/../../admin', 'BASE'],
    ['/../admin', 'BASE'],
    ['/%61dmin', 'BASE'],
    ['/%61%64%6D%69%6e', 'BASE'],
    ['/%2e/admin', 'BASE'],
    ['/x/%2e%2e/admin', 'BASE'],
    ['/x/.%2E/admin', 'BASE'],
    ['/x/..;/admin', 'BASE'],
    ['/x/..;a=b/admin', 'BASE'],
    ['/x/.;/../admin', 'BASE'],
    ['/x\\..\\admin', 'BASE'],
    ['\\admin', 'BASE'],
    ['//admin', 'MERGE_SLASHES'],
    ['///admin', 'MERGE_SLASHES'],
    ['/x/..//admin', 'MERGE_SLASHES'],
    ['/\\admin', 'MERGE_SLASHES'],
    ['/%2fadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/%2Fadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/%5cadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/%5Cadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/x%2f..%2fadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/x%5c..%5cadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/x/..%2fadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/x/%2e%2e%2fadmin', 'DECODE_AND_MERGE_SLASHES'],
    ['/%252fadmin', false],
    ['/%2561dmin', false],
    ['/x/%252e%252e/admin', false],
    ['/%c0%afadmin', false],
    ['/%u002fadmin', false],
    ['/admin%20', false],
    ['/admin/', false],
    ['/admin;x', false],
    ['/ADMIN', false],
    ['/adm%69n%', false],
    ['/x/...//admin', false],
    ['/x/..%3b/admin', false],
    ['/%ef%bc%8fadmin', false],
    ['/admin.', false],
    ['/.admin', false],
  ];

  for (const pathNormalization of MODES) {
    it(`CVE-2021-31920, CVE-2021-29492, GHSA-p224: ${SPELLINGS.length} spellings of /admin under ${pathNormalization}: the evaluated path is the forwarded path`, () => {
      const denying = filterChainOf([deny('a', paths('/admin'))], { mesh: { pathNormalization } });
      const open = filterChainOf([], { mesh: { pathNormalization } });
      for (const [target, from] of SPELLINGS) {
        const undone = from !== false && MODES.indexOf(from) <= MODES.indexOf(pathNormalization);
        // A target without a leading slash is not a path.
        const refused = undone || target.startsWith('\\');
        expect(denying.evaluate(raw(target), NOW).kind, target).to.equal(refused ? 'reply' : 'forward');
        const verdict = open.evaluate(raw(target), NOW);
        if (verdict.kind !== 'forward') continue;
        expect(pathOf(verdict.head.target), target).to.equal(verdict.log.path);
        if (undone) expect(verdict.head.target, target).to.equal('/admin');
        else expect(verdict.head.target, target).not.to.equal('/admin');
      }
    });
  }

  it('CVE-2021-39155: hosts are case-insensitive; a port is part of the host, which a policy has to name', () => {
    const denying = (...hosts: readonly string[]): object => deny('a', operation({ hosts }));
    for (const host of ['httpbin.foo', 'HTTPBIN.foo', 'HttpBin.Foo', 'httpbin.foo:8000', 'HTTPBIN.FOO:1']) {
      const request = raw('/', [], { headers: ['Host', host] });
      for (const policyHost of ['httpbin.foo', 'HTTPBIN.FOO']) {
        expect(kindOf([denying(policyHost, `${policyHost}:*`)], request), host).to.equal('reply');
        expect(kindOf([denying(policyHost)], request), host).to.equal(host.includes(':') ? 'forward' : 'reply');
      }
    }
  });

  it('CVE-2021-39155: two hosts, hosts with invalid bytes, and a missing host are refused', () => {
    for (const headers of [[], ['Host', 'a b'], ['Host', 'a/b'], ['Host', 'a\\b'], ['Host', 'a\u00e9'], ['Host', 'a#b'], ['Host', 'a?b']]) {
      expect(verdictOf('reply', filterChainOf([]), raw('/', [], { headers })).status, headers.join(': ')).to.equal(400);
    }
    // Two are joined to a host that no policy names; the host of an absolute target wins over both.
    const twice = { headers: ['Host', 'good', 'Host', 'evil'] };
    expect(kindOf([allow('a', operation({ hosts: ['good', 'evil'] }))], raw('/', [], twice))).to.equal('reply');
    expect(verdictOf('forward', filterChainOf([]), raw('http://real/', [], twice)).head.host).to.equal('real');
    expect(kindOf([deny('a', operation({ hosts: ['real'] }))], raw('http://real/', [], twice))).to.equal('reply');
  });

  it('GHSA-c5c4: a domain is the literal suffix of the whole claim or header', () => {
    const corp = allow('a', when('request.headers[x-mail]', { values: ['*@corp.com'] }));
    for (const [mail, kind] of [
      ['a@corp.com', 'forward'],
      ['a@evil.com@corp.com', 'forward'],
      ['a@corp.com@evil.com', 'reply'],
      ['a@corp.com.evil.com', 'reply'],
      ['a@CORP.com', 'reply'],
      ['a@corp.com ', 'reply'],
      ['a@c\u00f6rp.com', 'reply'],
      ['a@xcorp.com', 'reply'],
      ['acorp.com', 'reply'],
    ] as const) {
      expect(kindOf([corp], raw('/', ['x-mail', mail])), mail).to.equal(kind);
    }
  });

  it('I#45502: a rule that cannot be evaluated denies under DENY and under ALLOW', () => {
    const unknown = { when: [{ key: 'request.auth.claims[a]', values: ['x'] }] };
    expect(kindOf([allow('a', unknown)], raw('/'))).to.equal('reply');
    const asked = policy('AuthorizationPolicy', 'c', { action: 'CUSTOM', provider: { name: 'missing' }, rules: [{}] });
    expect(kindOf([asked], raw('/'))).to.equal('reply');
  });
});
