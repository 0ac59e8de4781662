/*
 * Signs the tokens of policy tests with a key that exists for one run, and provides key sets in which that key stands for the key
 * of every issuer. No agent accepts these tokens.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeySet } from '../bundle/bundle.ts';
import type { Json } from '../policy/facts.ts';
import type { Program } from '../policy/model/program.ts';

/** A signing key with its key sets. */
export interface TestKey {
  /** A compact ES256 token with exactly these claims. */
  readonly sign: (claims: Readonly<Record<string, Json>>) => string;
  /** A key set for every JWT rule of `program`, each with this key only. */
  readonly keySetsFor: (program: Program) => Readonly<Record<string, KeySet>>;
}

const KID = 'sallyport-test';
const TOKEN_HEADER = encode({ alg: 'ES256', kid: KID, typ: 'JWT' });

/** A new key pair; the private key is not exposed. */
export function createTestKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const keySet: KeySet = { source: 'the test run', keys: [{ kty: 'EC', crv: 'P-256', x, y, kid: KID, alg: 'ES256' }] };
  return {
    sign(claims) {
      const signed = `${TOKEN_HEADER}.${encode(claims)}`;
      const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
    keySetsFor: (program) => Object.fromEntries(program.providers.map((provider) => [provider.keySet, keySet])),
  };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
