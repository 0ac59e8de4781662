import { expect } from 'chai';
import { missingTokenText } from '../../../src/explain/missing-token-text.ts';
import { PreparedRequest } from '../../../src/http/normalize/prepared-request.ts';
import { enforce, jwtPolicy } from './support.ts';

const TOKEN = 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJtZSJ9.c2lnbmF0dXJl';
const PLACES = 'no token in header authorization after "Bearer ", query parameter access_token';

function textFor(headers: readonly string[], target = '/', rule: object = {}): string {
  const [provider] = enforce([jwtPolicy(rule)]).program.providers;
  if (provider === undefined) throw new Error('the policy has one JWT rule');
  return missingTokenText(provider, Object.assign(new PreparedRequest('GET', [...headers]), { host: 'a', target }));
}

describe('missingTokenText', () => {
  it('lists the default places', () => {
    expect(textFor([])).to.equal(PLACES);
  });

  it('lists headers without a prefix, parameters and cookies of the rule', () => {
    const rule = { fromHeaders: [{ name: 'x-a' }, { name: 'x-b', prefix: 'JWT ' }], fromParams: ['p'], fromCookies: ['c'] };

    expect(textFor([], '/', rule)).to.equal('no token in header x-a, header x-b after "JWT ", query parameter p, cookie c');
  });

  const notes: readonly (readonly [name: string, headers: readonly string[], target: string, note: string])[] = [
    [
      'a prefix in another case',
      ['authorization', 'bearer abc'],
      '/',
      'authorization starts with "bearer ", but the prefix is case-sensitive',
    ],
    ['a prefix without a token', ['authorization', 'Bearer'], '/', 'authorization has nothing after Bearer'],
    ['a token without the prefix', ['authorization', TOKEN], '/', 'authorization has a token without "Bearer " before it'],
    ['another scheme', ['authorization', 'Basic YTpi'], '/', 'authorization is present but does not start with "Bearer "'],
    ['a token in another header', ['x-token', TOKEN], '/', 'there is one in header x-token, where the rule does not look (fromHeaders)'],
    ['a token in a cookie', ['cookie', `a=b; s=${TOKEN}`], '/', 'there is one in cookie s, where the rule does not look (fromCookies)'],
    ['a token in the query', [], `/?a=b&t=${TOKEN}`, 'there is one in query parameter t, where the rule does not look (fromParams)'],
  ];
  for (const [name, headers, target, note] of notes) {
    it(`adds a note on ${name}`, () => {
      expect(textFor(headers, target)).to.equal(`${PLACES}; ${note}`);
    });
  }

  it('adds no note for text that is not a token', () => {
    expect(textFor(['x-token', 'eyJ.eyJ', 'cookie', 'a=b'], '/?t=eyJabc')).to.equal(PLACES);
  });
});
