/* Parsing of policies, compared with Istio's decoder. */
import { expect } from 'chai';
import { parseAuthorizationPolicy, parsePolicy, parseRequestAuthentication } from '../../../../src/api/istio/parse-policy.ts';

const metadata = { namespace: 'foo', name: 'p' };
const ap = (spec: unknown): unknown => ({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec });
const ra = (spec: unknown): unknown => ({ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata, spec });

const AP_SPECS: readonly (readonly [string, unknown, unknown])[] = [
  ['a missing spec', undefined, { action: 'ALLOW' }],
  ['a null spec', null, { action: 'ALLOW' }],
  ['an empty array of rules', { rules: [] }, { action: 'ALLOW' }],
  ['an empty rule', { rules: [{}] }, { action: 'ALLOW', rules: [{}] }],
  ['a null rule', { rules: [null] }, { action: 'ALLOW', rules: [{}] }],
  ['empty arrays in a rule', { rules: [{ from: [], to: [], when: [] }] }, { action: 'ALLOW', rules: [{}] }],
  ['a null source', { rules: [{ from: [null, { source: null }] }] }, { action: 'ALLOW', rules: [{ from: [{}, {}] }] }],
  ['an empty operation', { rules: [{ to: [{ operation: { paths: [] } }] }] }, { action: 'ALLOW', rules: [{ to: [{ operation: {} }] }] }],
  [
    'a null path',
    { rules: [{ to: [{ operation: { paths: [null] } }] }] },
    { action: 'ALLOW', rules: [{ to: [{ operation: { paths: [''] } }] }] },
  ],
  ['an action given as a number', { action: 3, provider: {} }, { action: 'CUSTOM', provider: { name: '' } }],
  [
    'a condition without a key',
    { rules: [{ when: [{ values: ['x'] }] }] },
    { action: 'ALLOW', rules: [{ when: [{ key: '', values: ['x'] }] }] },
  ],
  [
    'snake_case members',
    { rules: [{ from: [{ source: { not_ip_blocks: ['1.2.3.4'] } }], when: [{ key: 'a', not_values: ['b'] }] }] },
    { action: 'ALLOW', rules: [{ from: [{ source: { notIpBlocks: ['1.2.3.4'] } }], when: [{ key: 'a', notValues: ['b'] }] }] },
  ],
  [
    'both forms of target reference',
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
  ['the snake_case spelling of the URL', { jwtRules: [{ jwks_uri: 'https://a' }] }, { jwtRules: [{ jwksUri: 'https://a' }] }],
  [
    'both spellings in either order',
    {
      jwtRules: [
        { jwksUri: 'https://a', jwks_uri: 'https://b' },
        { jwks_uri: 'https://b', jwksUri: 'https://a' },
      ],
    },
    { jwtRules: [{ jwksUri: 'https://a' }, { jwksUri: 'https://a' }] },
  ],
  ['a null that takes precedence over the other spelling', { jwtRules: [{ jwksUri: null, jwks_uri: 'https://b' }] }, { jwtRules: [{}] }],
  [
    'a missing header and claim',
    { jwtRules: [{ fromHeaders: [{ prefix: 'x' }], outputClaimToHeaders: [{}] }] },
    { jwtRules: [{ fromHeaders: [{ name: '', prefix: 'x' }], outputClaimToHeaders: [{ header: '', claim: '' }] }] },
  ],
  [
    'an empty string, which is not absent',
    { jwtRules: [{ issuer: '', forwardOriginalToken: false, presence: 'REQUIRED' }] },
    { jwtRules: [{ issuer: '', forwardOriginalToken: false, presence: 'REQUIRED' }] },
  ],
];

describe('parseAuthorizationPolicy', () => {
  for (const [what, spec, expected] of AP_SPECS) {
    it(`parses ${what}`, () => {
      expect(parseAuthorizationPolicy(ap(spec))).to.deep.equal({
        value: { kind: 'AuthorizationPolicy', metadata, spec: expected },
        findings: [],
      });
    });
  }
});

describe('parseRequestAuthentication', () => {
  for (const [what, spec, expected] of RA_SPECS) {
    it(`parses ${what}`, () => {
      expect(parseRequestAuthentication(ra(spec))).to.deep.equal({
        value: { kind: 'RequestAuthentication', metadata, spec: expected },
        findings: [],
      });
    });
  }
});

describe('parsePolicy', () => {
  const REJECTED: readonly (readonly [what: string, object: unknown, path: string, message: string, admissionMessage?: string])[] = [
    [
      'a number instead of a string',
      ra({ jwtRules: [{ issuer: 5 }] }),
      'spec.jwtRules[0].issuer',
      'expected a string, found the number 5',
      'json: cannot unmarshal number into Go value of type string',
    ],
    [
      'a string instead of an array',
      ap({ rules: 'x' }),
      'spec.rules',
      'expected an array, found the string "x"',
      'json: cannot unmarshal string into Go value of type []json.RawMessage',
    ],
    [
      'an array instead of an object',
      ap([]),
      'spec',
      'expected an object, found an array',
      'json: cannot unmarshal array into Go value of type map[string]json.RawMessage',
    ],
    [
      'a string instead of a boolean',
      ra({ jwtRules: [{ forwardOriginalToken: 'true' }] }),
      'spec.jwtRules[0].forwardOriginalToken',
      'expected a boolean, found the string "true"',
      'json: cannot unmarshal string into Go value of type bool',
    ],
    [
      'a long string without quoting it',
      ap({ rules: 'x'.repeat(100) }),
      'spec.rules',
      'expected an array, found a string',
      'json: cannot unmarshal string into Go value of type []json.RawMessage',
    ],
    [
      'an unknown action',
      ap({ action: 'PERMIT' }),
      'spec.action',
      '"PERMIT" is not one of ALLOW, DENY, AUDIT, CUSTOM',
      String.raw`unknown value "\"PERMIT\"" for enum istio.security.v1beta1.AuthorizationPolicy.Action`,
    ],
    [
      'an unknown number of an action',
      ap({ action: 9 }),
      'spec.action',
      '9 is not one of ALLOW, DENY, AUDIT, CUSTOM',
      'unknown value 9 for enum istio.security.v1beta1.AuthorizationPolicy.Action',
    ],
    [
      'a fraction as the number of an action',
      ap({ action: 1.5 }),
      'spec.action',
      '1.5 is not one of ALLOW, DENY, AUDIT, CUSTOM',
      'json: cannot unmarshal number 1.5 into Go value of type protoreflect.EnumNumber',
    ],
    [
      'an object as an action',
      ap({ action: {} }),
      'spec.action',
      'expected a string, found an object',
      'json: cannot unmarshal object into Go value of type protoreflect.EnumNumber',
    ],
    [
      'an invalid duration',
      ra({ jwtRules: [{ timeout: 'apple' }] }),
      'spec.jwtRules[0].timeout',
      '"apple" is not a duration such as 5s, 500ms or 1m30s',
      'bad Duration: time: invalid duration "apple"',
    ],
    [
      'a label that is not a string',
      ap({ selector: { matchLabels: { a: true } } }),
      'spec.selector.matchLabels.a',
      'expected a string, found the boolean true',
      'json: cannot unmarshal bool into Go value of type string',
    ],
    ['another kind', { kind: 'Pod' }, 'kind', 'unrecognized kind "Pod"'],
    ['a missing kind', {}, 'kind', 'unrecognized kind (none)'],
  ];
  for (const [what, object, path, message, admissionMessage] of REJECTED) {
    it(`rejects the whole object for ${what}`, () => {
      const exact = admissionMessage === undefined ? {} : { admissionMessage };

      expect(parsePolicy(object)).to.deep.equal({ findings: [{ code: 'SP_SCHEMA', severity: 'error', path, message, ...exact }] });
    });
  }

  it('warns of unknown fields at every level and parses the rest', () => {
    const { value, findings } = parsePolicy(ap({ colour: 1, rules: [{ to: [{ operation: { path: ['/x'] } }] }] }));

    expect(value?.spec).to.deep.equal({ action: 'ALLOW', rules: [{ to: [{ operation: {} }] }] });
    expect(findings.map(({ severity, message }) => [severity, message])).to.deep.equal([
      ['warning', 'unknown field "spec.rules[0].to[0].operation.path"'],
      ['warning', 'unknown field "spec.colour"'],
    ]);
  });

  it('accepts targetRefs only in the spelling of the .proto files', () => {
    const { value, findings } = parsePolicy(ap({ target_refs: [{ kind: 'Gateway', name: 'a' }] }));

    expect(value?.spec).to.deep.equal({ action: 'ALLOW' });
    expect(findings.map(({ message }) => message)).to.deep.equal(['unknown field "spec.target_refs"']);
  });

  it('keeps the metadata that determines the meaning of a policy', () => {
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
