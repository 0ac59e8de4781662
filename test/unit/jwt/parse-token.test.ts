import { expect } from 'chai';
import { MAX_TOKEN_LENGTH, parseToken } from '../../../src/jwt/parse-token.ts';
import { segment, unsigned } from './tokens.ts';

const FORM = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';
const HEAD = segment({ alg: 'RS256' });

describe('token parsing', () => {
  it('reads everything that later checks use', () => {
    const claims = { iss: 'i', sub: 's', exp: 20.9, nbf: 10, iat: 5, jti: 'j', aud: ['a', 'b'], extra: { x: [1] } };
    const text = unsigned(claims, { alg: 'ES256', kid: 'k', crit: ['b64'], jku: 'https://evil' });
    const token = parseToken(text);

    if (typeof token === 'string') throw new Error(token);
    const { signature, claims: read, ...rest } = token;
    expect(rest).to.deep.equal({
      alg: 'ES256',
      kid: 'k',
      issuer: 'i',
      subject: 's',
      notBefore: 10,
      expires: 20,
      audiences: ['a', 'b'],
      jsonBytes: JSON.stringify(claims).length,
      payload: text.split('.')[1],
      signed: text.split('.').slice(0, 2).join('.'),
    });
    expect(signature.toString()).to.equal('sig');
    expect(JSON.stringify(read)).to.equal(JSON.stringify(claims));
  });

  it('skips empty pieces', () => {
    const [head, payload, signature] = unsigned({}).split('.');

    expect(parseToken(`..${head}..${payload}.${signature}.`)).to.include({ signed: `${head}.${payload}` });
  });

  it('reads a null payload as one without claims', () => {
    expect(parseToken(`${HEAD}.${segment('null')}.c2ln`)).to.include({ issuer: '', expires: 0 });
  });

  for (const [name, text, fault] of [
    ['nothing', '', FORM],
    ['dots', '....', FORM],
    ['two pieces', 'a.b', FORM],
    ['an encrypted token', 'a.b.c.d.e', FORM],
    ['a token that is too long', `${HEAD}.${'a'.repeat(MAX_TOKEN_LENGTH)}.c2ln`, FORM],
    ['a header that is no base64', '!.e30.c2ln', 'Jwt header is an invalid Base64url encoded'],
    ['a header that is no JSON', 'YQ.e30.c2ln', 'Jwt header is an invalid JSON'],
    ['a header that is a list', `${segment([])}.e30.c2ln`, 'Jwt header is an invalid JSON'],
    ['a header with two alg', `${segment('{"alg":"RS256","alg":"none"}')}.e30.c2ln`, 'Jwt header is an invalid JSON'],
    ['no alg', unsigned({}, {}), 'Jwt header [alg] field is required and must be a string'],
    ['alg null', unsigned({}, { alg: null }), 'Jwt header [alg] field is required and must be a string'],
    ['alg 256', unsigned({}, { alg: 256 }), 'Jwt header [alg] field is required and must be a string'],
    ...['none', 'None', 'nOnE', 'rs256', 'RS1', '', 'ES256K', 'constructor', '__proto__'].map(
      (alg) => [`alg ${alg}`, unsigned({}, { alg }), 'Jwt header [alg] is not supported'] as const,
    ),
    ['kid 5', unsigned({}, { alg: 'RS256', kid: 5 }), 'Jwt header [kid] field is not a string'],
    ['kid null', unsigned({}, { alg: 'RS256', kid: null }), 'Jwt header [kid] field is not a string'],
    ['a payload that is no base64', `${HEAD}.+.c2ln`, 'Jwt payload is an invalid Base64url encoded'],
    ['a payload that is no JSON', `${HEAD}.YQ.c2ln`, 'Jwt payload is an invalid JSON'],
    ['a claim twice', unsigned('{"iss":"a","iss":"b"}'), 'Jwt payload is an invalid JSON'],
    ['iss null', unsigned({ iss: null }), 'Jwt payload [iss] field is not a string'],
    ['iss 1', unsigned({ iss: 1, sub: 1 }), 'Jwt payload [iss] field is not a string'],
    ['sub list', unsigned({ sub: ['a'], iat: 'x' }), 'Jwt payload [sub] field is not a string'],
    ['iat text', unsigned({ iat: '1', nbf: '1' }), 'Jwt payload [iat] field is not an integer'],
    ['nbf null', unsigned({ nbf: null }), 'Jwt payload [nbf] field is not an integer'],
    ['exp true', unsigned({ exp: true, jti: 1 }), 'Jwt payload [exp] field is not an integer'],
    ['exp negative', unsigned({ exp: -1 }), 'Jwt payload [exp] field is not a positive 64 bit integer'],
    ['exp 2^64', unsigned({ exp: 2 ** 64 }), 'Jwt payload [exp] field is not a positive 64 bit integer'],
    ['exp beyond double', unsigned('{"exp":1e400}'), 'Jwt payload is an invalid JSON'],
    ['jti 1', unsigned({ jti: 1, aud: 1 }), 'Jwt payload [jti] field is not a string'],
    ['aud null', unsigned({ aud: null }), 'Jwt payload [aud] field is not a string or string list'],
    ['aud object', unsigned({ aud: {} }), 'Jwt payload [aud] field is not a string or string list'],
    ['aud mixed', unsigned({ aud: ['a', 1] }), 'Jwt payload [aud] field is not a string or string list'],
    ['a signature that is no base64', `${HEAD}.e30.a+b`, 'Jwt signature is an invalid Base64url encoded'],
  ] as const) {
    it(`refuses ${name}`, () => {
      expect(parseToken(text)).to.equal(fault);
    });
  }

  it('accepts a long kid within the limit of a token and does not look it up', () => {
    expect(parseToken(unsigned({}, { alg: 'RS256', kid: 'k'.repeat(30_000) }))).to.be.an('object');
  });
});
