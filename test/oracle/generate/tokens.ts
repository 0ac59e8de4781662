/*
 * Generates tokens, valid and invalid in many ways, and the description of each token for the record.
 */
import type { Draw } from './draw.ts';
import { KEYS, type SigningKey, signatureOf } from './keys.ts';

export interface Token {
  readonly key: string;
  readonly alg: string;
  readonly header: object;
  readonly payload: string;
  readonly tamper?: string;
  readonly jwt: string;
}

export const SUBJECTS: readonly string[] = ['alice', 'bob', 'svc/1', 'alice-1', 'ALICE', 'a*', 'ü'];
export const CLAIM_WORDS: readonly string[] = [
  'admin',
  'dev',
  'read',
  'write',
  'aud-1',
  'aud-2',
  'https://svc.example.com',
  'cli',
  'alice',
  't1',
  'owner',
  '5',
  'true',
  'admin dev',
  'x',
];

/** Tokens may expire or become valid while the cases are recorded, which is shortly after they are generated. */
const DRAWN_AT = Math.floor(Date.now() / 1000);
const RECORDED_WITHIN = 160;
const FAR = 4_733_510_400;
const PAST = 1_562_182_856;
const base64url = (text: string | Buffer): string => Buffer.from(text).toString('base64url');

function oddValue(draw: Draw): unknown {
  return draw.pick<unknown>([
    5,
    -3,
    1.5,
    0,
    true,
    false,
    null,
    '',
    [],
    {},
    'admin',
    ['admin'],
    ['admin', 5],
    [['admin']],
    [''],
    { a: 'b' },
    1e21,
    1e15,
    0x1b69b4ba630f350,
    -0.1,
    1e-7,
    0x80000000,
    -0x80000001,
    'admin dev',
    ' admin',
    'admin ',
    'admin  dev',
    'admin	dev',
    'admin,dev',
    ['admin dev'],
    'ü',
    'a\0b',
    'a\nb',
    'a\u007fb',
    'a"b',
    'a\\b',
    '😀',
    [null],
    [true],
    ['a', 'b', 'c'],
    'x'.repeat(300),
    0x20000000000000,
    1,
    1e5,
    0.1 + 0.2,
    12345678.9,
  ]);
}

function claims(draw: Draw, issuer: string): Record<string, unknown> {
  const words = (): unknown =>
    draw.pick<unknown>([draw.pick(CLAIM_WORDS), draw.some(CLAIM_WORDS, 0, 3), draw.some(CLAIM_WORDS, 2, 3).join(' ')]);
  return {
    ...draw.maybe(0.95, () => ({
      iss: draw.chance(0.97) ? issuer : draw.pick<unknown>([5, null, '', [issuer], 'nobody', `${issuer}/`, issuer.toUpperCase()]),
    })),
    ...draw.maybe(0.9, () => ({ sub: draw.chance(0.95) ? draw.pick(SUBJECTS) : oddValue(draw) })),
    ...draw.maybe(0.6, () => ({
      aud: draw.chance(0.85)
        ? draw.pick<unknown>([
            'aud-1',
            'aud-2',
            ['aud-1', 'aud-2'],
            'https://svc.example.com/',
            'http://svc.example.com',
            ['other'],
            [],
            'AUD-1',
            'aud-1/',
          ])
        : oddValue(draw),
    })),
    ...draw.maybe(0.4, () => ({ azp: draw.chance(0.9) ? 'cli' : oddValue(draw) })),
    ...draw.maybe(0.5, () => ({ groups: words() })),
    ...draw.maybe(0.5, () => ({ scope: words() })),
    ...draw.maybe(0.3, () => ({ permission: words() })),
    ...draw.maybe(0.4, () => ({ custom: words() })),
    ...draw.maybe(0.3, () => ({ level: draw.pick<unknown>([5, '5', true, {}]) })),
    ...draw.maybe(0.5, () => ({ odd: oddValue(draw) })),
    ...draw.maybe(0.3, () => ({ 'a.b': oddValue(draw), a: { b: oddValue(draw) } })),
    ...draw.maybe(0.4, () => ({
      realm: draw.chance(0.9)
        ? { roles: words(), tenant: draw.pick(['t1', 't2']), deep: { list: words(), odd: oddValue(draw) } }
        : oddValue(draw),
    })),
    ...draw.maybe(0.05, () => ({ 'https://x/y': words() })),
    ...times(draw),
  };
}

/** Envoy allows a clock skew of one minute, so that limits are within minutes of the recording. */
function nearTimes(draw: Draw): object {
  const near = (offset: number): number => DRAWN_AT + offset + draw.upTo(RECORDED_WITHIN) + draw.pick([0, 0, 0, 0.5, 0.999]);
  return {
    ...draw.maybe(0.6, () => ({ exp: near(-70) })),
    ...draw.maybe(0.5, () => ({ nbf: near(50) })),
    ...draw.maybe(0.3, () => ({ iat: near(50) })),
  };
}

function times(draw: Draw): object {
  if (draw.chance(0.1)) return nearTimes(draw);
  return {
    ...draw.maybe(0.9, () => ({
      exp: draw.chance(0.82)
        ? FAR
        : draw.pick<unknown>([PAST, PAST, 0, -1, '4733510400', 4733510400.7, 1e300, null, true, PAST + 0.5, 2 ** 63, 1.8e19, []]),
    })),
    ...draw.maybe(0.1, () => ({ nbf: draw.pick<unknown>([PAST, FAR, 0, -5, '5', 1.5, null]) })),
    ...draw.maybe(0.3, () => ({ iat: draw.pick<unknown>([PAST, FAR, 0, -5, 'x', 1.5]) })),
    ...draw.maybe(0.1, () => ({ jti: draw.pick<unknown>(['x', 5, null, '']) })),
  };
}

function headerOf(draw: Draw, key: SigningKey, alg: string): Record<string, unknown> {
  return {
    alg,
    ...draw.maybe(0.85, () => ({
      kid: draw.chance(0.9) ? key.kid : draw.pick<unknown>(['', 'nobody', 5, null, key.kid.toUpperCase(), [key.kid]]),
    })),
    ...draw.maybe(0.7, () => ({ typ: draw.pick<unknown>(['JWT', 'JWT', 'at+jwt', 5, null]) })),
    ...draw.maybe(0.05, () => ({ crit: ['x'] })),
    ...draw.maybe(0.05, () => ({ cty: 'JWT', zip: 'DEF' })),
  };
}

const TAMPERS: Readonly<Record<string, (parts: readonly [string, string, string], draw: Draw) => string>> = {
  signature: ([head, body, tail]) => `${head}.${body}.${tail.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
  'last char of signature': ([head, body, tail]) =>
    `${head}.${body}.${tail.replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) ^ 1))}`,
  'no signature': ([head, body]) => `${head}.${body}.`,
  'short signature': ([head, body, tail]) => `${head}.${body}.${tail.slice(0, -4)}`,
  'two parts': ([head, body]) => `${head}.${body}`,
  'four parts': ([head, body, tail]) => `${head}.${body}.${tail}.`,
  padding: ([head, body, tail]) => `${head}.${body}.${tail}==`,
  'padded header': ([head, body, tail]) => `${head}=.${body}.${tail}`,
  'plain base64': ([head, body, tail]) => `${head}.${body}.${tail.replaceAll('-', '+').replaceAll('_', '/')}`,
  'cut header': ([head, body, tail]) => `${head.slice(0, -3)}.${body}.${tail}`,
  'cut payload': ([head, body, tail]) => `${head}.${body.slice(0, -3)}.${tail}`,
  'blank inside': ([head, body, tail]) => `${head}.${body} .${tail}`,
  'trailing text': ([head, body, tail], draw) => `${head}.${body}.${tail}${draw.pick([' ', ',', ';x', '!', '\t', ',x', '"', ' x', '%20'])}`,
  'leading text': ([head, body, tail], draw) => `${draw.pick(['x', '=', ' ', '"', 'Bearer '])}${head}.${body}.${tail}`,
  empty: () => '',
  dots: (_, draw) => draw.pick(['.', '..', '...', 'a.b.c', 'x', 'e30.e30.', 'e30.e30.AA', 'bnVsbA.e30.AA', 'W10.W10.AA']),
};

function payloadText(draw: Draw, made: Record<string, unknown>): string {
  const text = JSON.stringify(made);
  if (!draw.chance(0.03)) return text;
  return draw.pick([
    text.replace('{', '{"sub":"eve",'),
    `[${text}]`,
    '5',
    'null',
    '""',
    '',
    `${text}x`,
    ` ${text} `,
    text.slice(0, -1),
    text.replace('{', '{"iss":5,'),
    text.replaceAll(':', ' : '),
    text.replace('{', '{"\\u0073ub":"eve",'),
  ]);
}

/** A token of `issuer`, nearly always signed with one of `keys`. */
export function makeToken(draw: Draw, issuer: string, keys: readonly SigningKey[]): Token {
  const key = draw.chance(0.93) ? draw.pick(keys) : draw.pick(KEYS);
  const usual = draw.chance(0.8) ? (key.algorithms[0] ?? 'RS256') : draw.pick(key.algorithms);
  const named = draw.chance(0.95) ? usual : draw.pick(['none', 'RS256', 'HS256', 'ES256', 'ES384', 'EdDSA', 'rs256', '', 'PS256', 'HS512']);
  const header = headerOf(draw, key, named);
  const payload = payloadText(draw, claims(draw, issuer));
  const [head, body] = [base64url(JSON.stringify(header)), base64url(payload)];
  const tail = signatureOf(key, usual, `${head}.${body}`).toString('base64url');
  const tamper = draw.chance(0.1) ? draw.pick(Object.keys(TAMPERS)) : undefined;
  const jwt = tamper === undefined ? `${head}.${body}.${tail}` : (TAMPERS[tamper]?.([head, body, tail], draw) ?? '');
  return { key: key.kid, alg: usual, header, payload, ...(tamper === undefined ? {} : { tamper }), jwt };
}
