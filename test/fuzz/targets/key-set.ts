/* Key sets of policies and key servers. */
import { generateKeyPairSync } from 'node:crypto';
import { checkJwks } from '../../../src/api/istio/check-jwks.ts';
import { importKey } from '../../../src/jwt/import-key.ts';
import { MAX_KEYS, MAX_PROBLEMS, parseJwks } from '../../../src/jwt/parse-jwks.ts';
import { type FuzzTarget, hold } from '../target.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const ed = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
const PUBLIC: ReadonlySet<string> = new Set(['kty', 'kid', 'alg', 'n', 'e', 'crv', 'x', 'y', 'k']);

export const keySet: FuzzTarget = {
  name: 'key-set',
  properties: 'every accepted key is usable, has public members only, and round-trips; nothing throws',
  seeds: [
    JSON.stringify({ keys: [{ ...rsa, kid: 'a', alg: 'RS256', use: 'sig' }, { ...ec, kid: 'b' }, ed, { kty: 'oct', k: 'c2VjcmV0' }] }),
    JSON.stringify({ keys: [{ kty: 'EC', alg: 'ES384', x: 'AA', y: 'AA' }, { kty: 'OKP', crv: 'X25519', x: 'AA' }, null, 1] }),
    '{"a":"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"}',
    '{"keys":[]}',
  ],
  dictionary: [
    'RSA',
    'EC',
    'OKP',
    'oct',
    'P-256',
    'P-521',
    'Ed25519',
    'AQAB',
    'Aw',
    'n',
    'e',
    'x',
    'd',
    'kid',
    'alg',
    'use',
    'key_ops',
    'keys',
    '__proto__',
  ],
  regressions: [],
  json: true,
  run(input) {
    const { keys, problems } = parseJwks(input);
    hold(keys.length <= MAX_KEYS && problems.length <= MAX_PROBLEMS + 1, 'keys and problems are limited');
    for (const key of keys) {
      hold(
        Object.entries(key).every(([name, value]) => PUBLIC.has(name) && typeof value === 'string'),
        'a key has public string members only',
      );
      hold((key['k'] === undefined) === (key['kty'] !== 'oct'), 'only HMAC keys have a secret');
      hold(importKey(key) !== undefined, 'an accepted key is usable');
    }
    const again = parseJwks(JSON.stringify({ keys }));
    hold(JSON.stringify(again.keys) === JSON.stringify(keys), 'accepted keys round-trip');
    hold(
      parseJwks(input, { symmetric: false }).keys.every(({ kty }) => kty !== 'oct'),
      'no secret is accepted from a URL',
    );
    checkJwks(input);
  },
};
