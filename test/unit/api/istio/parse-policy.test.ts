/* Policies read as Istio's decoder reads them. */
import { expect } from 'chai';
import { parseAuthorizationPolicy, parsePolicy, parseRequestAuthentication } from '../../../../src/api/istio/parse-policy.ts';

const metadata = { namespace: 'foo', name: 'p' };
const ap = (spec: unknown): unknown => ({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec });
const ra = (spec: unknown): unknown => ({ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata, spec });

const AP_SPECS: readonly (readonly [string, unknown, unknown])[] = [
  ['no spec', undefined, { action: 'ALLOW' }],
  ['a null spec', null, { action: 'ALLOW' }],
  ['no rules', { rules: [] }, { action: 'ALLOW' }],
  ['an empty rule', { rules: [{}] }, { action: 'ALLOW', rules: [{}] }],
  ['a null rule', { rules: [null] }, { action: 'ALLOW', rules: [{}] }],
  ['empty lists inside a rule', { rules: [{ from: [], to: [], when: [] }] }, { action: 'ALLOW', rules: [{}] }],
  ['a null source', { rules: [{ from: [null, { source: null }] }] }, { action: 'ALLOW', rules: [{ from: [{}, {}] }] }],
  ['an empty operation', { rules: [{ to: [{ operation: { paths: [] } }] }] }, { action: 'ALLOW', rules: [{ to: [{ operation: {} }] }] }],
  [
    'a null path',
    { rules: [{ to: [{ operation: { paths: [null] } }] }] },
    { action: 'ALLOW', rules: [{ to: [{ operation: { paths: [''] } }] }] },
  ],
  ['an action by number', { action: 3, provider: {} }, { action: 'CUSTOM', provider: { name: '' } }],
  [
    'a condition without key',
    { rules: [{ when: [{ values: ['x'] }] }] },
    { action: 'ALLOW', rules: [{ when: [{ key: '', values: ['x'] }] }] },
  ],
  [
    'snake case',
    { rules: [{ from: [{ source: { not_ip_blocks: ['1.2.3.4'] } }], when: [{ key: 'a', not_values: ['b'] }] }] },
    { action: 'ALLOW', rules: [{ from: [{ source: { notIpBlocks: ['1.2.3.4'] } }], when: [{ key: 'a', notValues: ['b'] }] }] },
  ],
  [
    'both forms of target',
    { targetRef: { kind: 'Gateway', name: 'a' }, targetRefs: [{ group: 'g', name: 'b' }] },
    {
      action: 'ALLOW',
      targetRefs: [
        { kind: 'Gateway', name: 'a' },
        { group: 'g', kind: '', name: 'b' },
      ],
    },
  ],
];

const RA_SPECS: readonly (readonly [string, unknown, unknown])[] = [
  ['an empty selector', { selector: { matchLabels: {} } }, { selector: { matchLabels: {} } }],
  ['a null rule', { jwtRules: [null] }, { jwtRules: [{}] }],
  ['a timeout', { jwtRules: [{ timeout: '1m30s' }] }, { jwtRules: [{ timeoutMs: 90_000 }] }],
  ['the other spelling of the URL', { jwtRules: [{ jwks_uri: 'https://a' }] }, { jwtRules: [{ jwksUri: 'https://a' }] }],
  [
    'both spellings, either order',
    {
      jwtRules: [
        { jwksUri: 'https://a', jwks_uri: 'https://b' },
        { jwks_uri: 'https://b', jwksUri: 'https://a' },
      ],
    },
    { jwtRules: [{ jwksUri: 'https://a' }, { jwksUri: 'https://a' }] },
  ],
  ['a null that wins over the other spelling', { jwtRules: [{ jwksUri: null, jwks_uri: 'https://b' }] }, { jwtRules: [{}] }],
  [
    'header and claim left out',
    { jwtRules: [{ fromHeaders: [{ prefix: 'x' }], outputClaimToHeaders: [{}] }] },
    { jwtRules: [{ fromHeaders: [{ name: '', prefix: 'x' }], outputClaimToHeaders: [{ header: '', claim: '' }] }] },
  ],
  [
    'empty text, which is not absent',
    { jwtRules: [{ issuer: '', forwardOriginalToken: false, presence: 'REQUIRED' }] },
    { jwtRules: [{ issuer: '', forwardOriginalToken: false, presence: 'REQUIRED' }] },
  ],
];

describe('parseAuthorizationPolicy', () => {
  for (const [what, spec, expected] of AP_SPECS) {
    it(`reads ${what}`, () => {
      expect(parseAuthorizationPolicy(ap(spec))).to.deep.equal({
        value: { kind: 'AuthorizationPolicy', metadata, spec: expected },
        findings: [],
      });
    });
  }
});

describe('parseRequestAuthentication', () => {
  for (const [what, spec, expected] of RA_SPECS) {
    it(`reads ${what}`, () => {
      expect(parseRequestAuthentication(ra(spec))).to.deep.equal({
        value: { kind: 'RequestAuthentication', metadata, spec: expected },
        findings: [],
      });
    });
  }
});

describe('parsePolicy', () => {
  const REFUSED: readonly (readonly [string, unknown, string, string])[] = [
    [
      'a number for text',
      ra({ jwtRules: [{ issuer: 5 }] }),
      'spec.jwtRules[0].issuer',
      'json: cannot unmarshal number into Go value of type string',
    ],
    ['text for a list', ap({ rules: 'x' }), 'spec.rules', 'json: cannot unmarshal string into Go value of type []json.RawMessage'],
    ['a list for a message', ap([]), 'spec', 'json: cannot unmarshal array into Go value of type map[string]json.RawMessage'],
    [
      'text for a flag',
      ra({ jwtRules: [{ forwardOriginalToken: 'true' }] }),
      'spec.jwtRules[0].forwardOriginalToken',
      'json: cannot unmarshal string into Go value of type bool',
    ],
    [
      'an unknown action',
      ap({ action: 'PERMIT' }),
      'spec.action',
      String.raw`unknown value "\"PERMIT\"" for enum istio.security.v1beta1.AuthorizationPolicy.Action`,
    ],
    [
      'an unknown number of an action',
      ap({ action: 9 }),
      'spec.action',
      'unknown value 9 for enum istio.security.v1beta1.AuthorizationPolicy.Action',
    ],
    [
      'a bad duration',
      ra({ jwtRules: [{ timeout: 'apple' }] }),
      'spec.jwtRules[0].timeout',
      'bad Duration: time: invalid duration "apple"',
    ],
    [
      'a label that is no text',
      ap({ selector: { matchLabels: { a: true } } }),
      'spec.selector.matchLabels.a',
      'json: cannot unmarshal bool into Go value of type string',
    ],
    ['another kind', { kind: 'Pod' }, 'kind', 'unrecognized kind "Pod"'],
    ['no kind', {}, 'kind', 'unrecognized kind (none)'],
  ];
  for (const [what, object, path, message] of REFUSED) {
    it(`refuses ${what} as a whole`, () => {
      expect(parsePolicy(object)).to.deep.equal({ findings: [{ code: 'SP_SCHEMA', severity: 'error', path, message }] });
    });
  }

  it('warns of unknown fields wherever they are, and reads the rest', () => {
    const { value, findings } = parsePolicy(ap({ colour: 1, rules: [{ to: [{ operation: { path: ['/x'] } }] }] }));

    expect(value?.spec).to.deep.equal({ action: 'ALLOW', rules: [{ to: [{ operation: {} }] }] });
    expect(findings.map(({ severity, message }) => [severity, message])).to.deep.equal([
      ['warning', 'unknown field "spec.rules[0].to[0].operation.path"'],
      ['warning', 'unknown field "spec.colour"'],
    ]);
  });

  it('takes targetRefs in one spelling only, as the .proto files have it', () => {
    const { value, findings } = parsePolicy(ap({ target_refs: [{ kind: 'Gateway', name: 'a' }] }));

    expect(value?.spec).to.deep.equal({ action: 'ALLOW' });
    expect(findings.map(({ message }) => message)).to.deep.equal(['unknown field "spec.target_refs"']);
  });

  it('keeps the metadata that gives a policy its meaning', () => {
    const annotations = { 'istio.io/dry-run': 'true', 'kubectl.kubernetes.io/last-applied-configuration': '{}' };
    const full = {
      ...metadata,
      uid: 'u',
      generation: 4,
      creationTimestamp: '2026-01-01T00:00:00Z',
      resourceVersion: '7',
      labels: {},
      annotations,
    };

    expect(parsePolicy({ ...(ap({}) as object), metadata: full }).value?.metadata).to.deep.equal({
      ...metadata,
      uid: 'u',
      generation: 4,
      creationTimestamp: '2026-01-01T00:00:00Z',
      resourceVersion: '7',
      annotations: { 'istio.io/dry-run': 'true' },
    });
    expect(parsePolicy({ kind: 'AuthorizationPolicy', metadata: { name: 'p' } }).value?.metadata).to.deep.equal({
      namespace: 'default',
      name: 'p',
    });
  });
});
