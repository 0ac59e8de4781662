/*
 * JWT providers: order, defaults, locations.
 */
import { expect } from 'chai';
import { outputsOf } from '../../../../src/jwt/token-rule.ts';
import { authentication, lower } from './fixtures.ts';

describe('JWT providers', () => {
  it('have defaults when a rule has an issuer only', () => {
    expect(lower([authentication([{}], { generation: 2 })]).program.providers).to.deep.equal([
      {
        name: 'origins-0',
        source: { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 2, rule: 0 },
        issuer: '',
        audiences: [],
        headers: [{ name: 'authorization', prefix: 'Bearer ' }],
        params: ['access_token'],
        cookies: [],
        forward: false,
        payloadHeader: '',
        claimHeaders: [],
        spaceDelimitedClaims: ['permission', 'scope'],
        keySet: '#0',
        required: false,
      },
    ]);
  });

  it('have names as bytes when they are not ASCII', () => {
    const [provider] = lower([authentication([{ fromHeaders: [{ name: 'a', prefix: 'ü ' }], fromParams: ['ü'], fromCookies: ['ü'] }])])
      .program.providers;
    expect(provider).to.deep.include({ headers: [{ name: 'a', prefix: 'Ã¼ ' }], params: ['Ã¼'], cookies: ['Ã¼'] });
  });

  it('have the settings of the rule', () => {
    const [provider] = lower([
      authentication([
        {
          issuer: 'i',
          audiences: ['a'],
          fromHeaders: [{ name: 'X-B', prefix: 'p' }, { name: 'x-a' }, { name: 'X-A' }],
          fromParams: ['b', 'a', 'b'],
          fromCookies: ['d', 'c'],
          forwardOriginalToken: true,
          outputPayloadToHeader: 'X-Payload',
          outputClaimToHeaders: [{ header: 'X-Sub', claim: 'sub' }],
          spaceDelimitedClaims: ['scope', 'a'],
          presence: 'REQUIRED',
        },
      ]),
    ]).program.providers;
    expect(provider).to.deep.include({
      issuer: 'i',
      audiences: ['a'],
      headers: [
        { name: 'x-a', prefix: '' },
        { name: 'x-b', prefix: 'p' },
      ],
      params: ['a', 'b'],
      cookies: ['c', 'd'],
      forward: true,
      payloadHeader: 'x-payload',
      claimHeaders: [{ header: 'x-sub', claim: 'sub' }],
      spaceDelimitedClaims: ['a', 'permission', 'scope'],
      keySet: 'i#0',
      required: true,
    });
  });

  for (const rule of [{ fromHeaders: [{ name: 'a' }] }, { fromParams: ['a'] }, { fromCookies: ['a'] }]) {
    it(`have no default location when the rule has ${JSON.stringify(rule)}`, () => {
      const [provider] = lower([authentication([rule])]).program.providers;
      expect([provider?.headers.length, provider?.params.length, provider?.cookies.length].filter((count) => count === 1)).to.have.length(
        1,
      );
    });
  }

  it('are ordered by issuer, own namespace first, age, name and position', () => {
    const { providers } = lower([
      authentication([{ issuer: 'b' }, { issuer: 'a' }, {}], {
        namespace: 'istio-system',
        name: 'root',
        creationTimestamp: '2020-01-01T00:00:00Z',
      }),
      authentication([{ issuer: 'b' }], { name: 'young', creationTimestamp: '2022-01-01T00:00:00Z' }),
      authentication([{ issuer: 'b' }], { name: 'z-old', creationTimestamp: '2021-01-01T00:00:00Z' }),
      authentication([{ issuer: 'b' }, { issuer: 'b' }], { name: 'y-old', creationTimestamp: '2021-01-01T00:00:00Z' }),
    ]).program;
    expect(providers.map(({ name, issuer, source }) => [name, issuer, source.name, source.rule])).to.deep.equal([
      ['origins-0', '', 'root', 2],
      ['origins-1', 'a', 'root', 1],
      ['origins-2', 'b', 'y-old', 0],
      ['origins-3', 'b', 'y-old', 1],
      ['origins-4', 'b', 'z-old', 0],
      ['origins-5', 'b', 'young', 0],
      ['origins-6', 'b', 'root', 0],
    ]);
  });

  it('do not exist for a policy without rules', () => {
    expect(
      lower([{ kind: 'RequestAuthentication', metadata: { namespace: 'foo', name: 'ra' }, spec: {} }]).program.providers,
    ).to.deep.equal([]);
  });

  it('list the headers that clients must not send', () => {
    const { providers } = lower([
      authentication([
        { outputPayloadToHeader: 'X-P', outputClaimToHeaders: [{ header: 'X-A', claim: 'a' }] },
        { outputClaimToHeaders: [{ header: 'x-p', claim: 'b' }] },
      ]),
    ]).program;
    expect([...new Set(providers.flatMap((provider) => [...outputsOf(provider)]))]).to.deep.equal(['x-p', 'x-a']);
  });
});
