/*
 * Tokens: parsing, key selection, signature, claims. Seeds are signed with keys made here, and mutations may be signed again, so
 * that claims are fuzzed as much as signatures.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { BundleKey } from '../../../src/bundle/bundle.ts';
import { PreparedRequest } from '../../../src/http/normalize/prepared-request.ts';
import { createAuthenticator } from '../../../src/jwt/authenticator.ts';
import { parseJson } from '../../../src/jwt/parse-json.ts';
import { parseToken } from '../../../src/jwt/parse-token.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { mutateJson } from '../mutate.ts';
import type { Random } from '../random.ts';
import { type FuzzTarget, hold, type Mutate } from '../target.ts';

const NOW = 1_788_220_800;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const SECRET = 'a secret of the fuzzer, 32 bytes or more';

const publicKey = (key: KeyObject, members: Readonly<Record<string, string>>): BundleKey => ({
  ...(key.export({ format: 'jwk' }) as Record<string, string>),
  ...members,
});
const keys: readonly BundleKey[] = [
  publicKey(rsa.publicKey, { kid: 'rsa' }),
  publicKey(ec.publicKey, { kid: 'ec', alg: 'ES256' }),
  publicKey(ed.publicKey, { kid: '__proto__' }),
  { kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), kid: 'oct', alg: 'HS256' },
];

const provider: JwtProvider = {
  name: 'origins-0',
  source: { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 1, rule: 0 },
  issuer: 'iss',
  audiences: [],
  headers: [{ name: 'authorization', prefix: 'Bearer ' }],
  params: ['access_token'],
  cookies: ['token'],
  forward: false,
  payloadHeader: 'x-payload',
  claimHeaders: [
    { header: 'x-sub', claim: 'sub' },
    { header: 'x-deep', claim: 'nested.group' },
    { header: 'x-proto', claim: '__proto__' },
  ],
  spaceDelimitedClaims: ['scope', 'permission'],
  keySet: 'keys',
  required: false,
};

/** Every string that was signed with the keys above. */
const signedTexts = new Set<string>();

function signatureOf(alg: string, text: string): string {
  signedTexts.add(text);
  switch (alg) {
    case 'ES256':
      return sign('sha256', Buffer.from(text, 'latin1'), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    case 'EdDSA':
      return sign(null, Buffer.from(text, 'latin1'), ed.privateKey).toString('base64url');
    case 'HS256':
      return createHmac('sha256', SECRET).update(text, 'latin1').digest('base64url');
    default:
      return sign('sha256', Buffer.from(text, 'latin1'), rsa.privateKey).toString('base64url');
  }
}

const encode = (text: string): string => Buffer.from(text, 'latin1').toString('base64url');
const decode = (piece: string): string => Buffer.from(piece, 'base64url').toString('latin1');

function tokenOf(alg: string, header: string, payload: string): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${signatureOf(alg, text)}`;
}

function seed(alg: string, claims: object, header: object = {}): string {
  return tokenOf(alg, JSON.stringify({ alg, typ: 'JWT', ...header }), JSON.stringify({ iss: 'iss', sub: 'me', ...claims }));
}

/** Mutates header, payload or signature below their encoding; half of the time the result is signed. */
function mutateToken(text: string, random: Random, mutate: Mutate): string | undefined {
  const pieces = text.split('.');
  const [header, payload, signature] = pieces;
  if (pieces.length !== 3 || header === undefined || payload === undefined || signature === undefined) return undefined;
  const part = (piece: string): string => encode(mutateJson(decode(piece), random, DICTIONARY) ?? mutate(decode(piece), random));
  const changed = random.next();
  const head = changed < 0.35 ? part(header) : header;
  const body = changed > 0.3 ? part(payload) : payload;
  if (random.next() < 0.5) return `${head}.${body}.${random.next() < 0.7 ? signature : part(signature)}`;
  return `${head}.${body}.${signatureOf(random.pick(['RS256', 'ES256', 'EdDSA', 'HS256']), `${head}.${body}`)}`;
}

const DICTIONARY = [
  'none',
  'None',
  'HS256',
  'RS256',
  'PS256',
  'ES256',
  'ES512',
  'EdDSA',
  'alg',
  'kid',
  'jwk',
  'jku',
  'x5u',
  'crit',
  'b64',
  'iss',
  'sub',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'scope',
  'rsa',
  'oct',
  '..',
  '=',
  '+',
  '/',
];

/** Every character of an outgoing field is one byte. */
const NOT_A_BYTE = /[^\0-\xff]/;

function run(text: string): void {
  const parsed = parseToken(text);
  if (typeof parsed !== 'string') {
    hold(parsed.notBefore >= 0 && parsed.expires >= 0, 'times are not negative');
    hold(Object.getPrototypeOf(parsed.claims) === null, 'claims have no prototype');
    // Empty pieces are skipped before anything else.
    hold(
      text
        .split('.')
        .filter((piece) => piece !== '')
        .join('.')
        .startsWith(`${parsed.signed}.`),
      'what is checked was in the token',
    );
  }
  const value = parseJson(text);
  if (value !== undefined) hold(JSON.stringify(JSON.parse(text)) !== undefined, 'strict JSON is JSON');
  for (const [headers, target] of [
    [['authorization', `Bearer ${text}`, 'x-sub', 'forged', 'X_Payload'.toLowerCase(), 'forged'], '/p'],
    [['cookie', `token=${text}`, 'x-deep', 'forged'], '/p?a=b'],
    [['x_proto', 'forged'], `/p?access_token=${text}&z=1`],
  ] as const) {
    const request = Object.assign(new PreparedRequest('GET', [...headers]), { scheme: 'http', host: 'h', target });
    const authentication = createAuthenticator([provider], { keys: { source: 'inline', keys } }).authenticate(request, NOW);
    hold(!request.headers.includes('forged'), 'output headers never come from the client');
    if (authentication.kind === 'verified') {
      const signed = authentication.text
        .split('.')
        .filter((piece) => piece !== '')
        .slice(0, 2)
        .join('.');
      hold(signedTexts.has(signed), 'an accepted token was signed by a key');
      for (const [at, name] of request.headers.entries()) {
        if (at % 2 === 0 && name.startsWith('x-')) hold(!NOT_A_BYTE.test(request.headers[at + 1] ?? ''), 'values are bytes');
      }
      hold(authentication.principal.startsWith('iss/'), 'the issuer is that of the rule');
    } else if (authentication.kind === 'refused') {
      hold(authentication.reply.status === 401 || authentication.reply.status === 403, 'a refusal has status 401 or 403');
    }
  }
}

export const token: FuzzTarget = {
  name: 'token',
  properties: 'only signed tokens are verified; nothing throws; output headers of verified tokens are neither forged nor malformed',
  seeds: [
    seed('RS256', { exp: 4_102_444_800, scope: 'a b', aud: ['x', 'y'] }, { kid: 'rsa' }),
    seed('ES256', { nested: { group: 'admin' } }, { kid: 'ec' }),
    seed('EdDSA', { nbf: 1, nested: { group: ['a', { b: 1.5 }] } }, { kid: '__proto__' }),
    seed('HS256', { __proto__: null, permission: ' ' }, { kid: 'oct' }),
    seed('RS256', { sub: 'caf\u00e9', iat: 1.5e9 }),
    'eyJhbGciOiJub25lIn0.eyJpc3MiOiJpc3MifQ.',
    '..',
  ],
  dictionary: DICTIONARY,
  regressions: [],
  mutate: mutateToken,
  run,
};
