import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

/** Fills a cache with tokens of one kind in a separate process, and prints the real and the estimated bytes of one token. */
const PROGRAM = `
  import { createHmac } from 'node:crypto';
  import { createAuthenticator } from './src/jwt/authenticator.ts';
  import { TokenCache } from './src/jwt/token-cache.ts';
  const [claims, count] = [JSON.parse(process.argv[1]), Number(process.argv[2])];
  const key = Buffer.alloc(32, 7);
  const rule = { name: 'r', source: { rule: 0 }, issuer: 'i', audiences: [], headers: [{ name: 'a', prefix: '' }], params: [], cookies: [],
    forward: true, payloadHeader: 'x-out', claimHeaders: [], spaceDelimitedClaims: ['scope'], keySet: 'k', required: false };
  const cache = new TokenCache(2 ** 30);
  const authenticator = createAuthenticator([rule], { k: { source: 't', keys: [{ kty: 'oct', k: key.toString('base64url') }] } }, { cache });
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const fill = (name, many) => {
    for (let at = 0; at < many; at++) {
      const text = part({ alg: 'HS256' }) + '.' + part({ iss: 'i', sub: name + at, ...claims });
      const token = text + '.' + createHmac('sha256', key).update(text).digest('base64url');
      const result = authenticator.authenticate({ method: 'GET', headers: ['a', 'x'.repeat(2000).concat(token).slice(2000)], target: '/' }, 1);
      if (result.kind !== 'verified') throw new Error(result.fault);
    }
  };
  const heap = () => { for (let at = 0; at < 4; at++) gc(); const { heapUsed, arrayBuffers } = process.memoryUsage(); return heapUsed + arrayBuffers; };
  fill('warm', 200);
  const [heapBefore, bytesBefore] = [heap(), cache.bytes];
  fill('user', count);
  console.log(JSON.stringify({ real: (heap() - heapBefore) / count, estimated: (cache.bytes - bytesBefore) / count }));
`;

describe('the size of a cached token', () => {
  const nested = (depth: number): object => (depth === 0 ? {} : { a: [nested(depth - 1)], b: {} });
  const kinds: readonly (readonly [name: string, claims: object])[] = [
    ['small', {}],
    [
      'with the usual claims',
      { aud: ['x'], exp: 4e9, iat: 1, email: 'someone@example.com', groups: ['a', 'b', 'dev'], scope: 'openid email' },
    ],
    ['with a long claim', { note: 'n'.repeat(3000) }],
    ['with a long claim that is not ASCII', { note: 'ü€'.repeat(800) }],
    ['with escaped characters', { note: '\n"\\'.repeat(500) }],
    ['with many small claims', Object.fromEntries(Array.from({ length: 80 }, (_, at) => [`c${at}`, at / 7]))],
    ['with many small arrays and objects', { list: Array.from({ length: 80 }, (_, at) => (at % 2 === 0 ? [at] : { a: at })) }],
    ['with deep claims', nested(20)],
  ];
  for (const [name, claims] of kinds) {
    it(`is not underestimated for a token ${name}`, () => {
      const args = ['--expose-gc', '--input-type=module', '-e', PROGRAM, JSON.stringify(claims), '1500'];
      const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: new URL('../../../', import.meta.url), encoding: 'utf8' });
      expect(stderr).to.equal('');
      const { real, estimated } = JSON.parse(stdout) as { readonly real: number; readonly estimated: number };

      expect(estimated).to.be.at.least(real);
      expect(estimated).to.be.at.most(4 * real);
    });
  }
});
