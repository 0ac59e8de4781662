/*
 * Tokens for tests. In: claims. Out: tokens signed by a key that lives as long as the run, and key sets in which that key
 * stands for every issuer's. Nothing outside a test ever accepts such a token. Called by the commands `test` and `diff`.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeySet } from '../bundle/bundle.ts';
import type { Json } from '../policy/facts.ts';
import type { Program } from '../policy/model/program.ts';

export interface TestKey {
  /** A compact ES256 token with exactly these claims. */
  readonly sign: (claims: Readonly<Record<string, Json>>) => string;
  /** Key sets for every JWT rule of `program`, each holding this key alone. */
  readonly keySetsFor: (program: Program) => Readonly<Record<string, KeySet>>;
}

const KID = 'sallyport-test';
const HEADER = encode({ alg: 'ES256', kid: KID, typ: 'JWT' });

/** A fresh key pair; the private key stays inside. */
export function createTestKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const keySet: KeySet = { source: 'the test run', keys: [{ kty: 'EC', crv: 'P-256', x, y, kid: KID, alg: 'ES256' }] };
  return {
    sign(claims) {
      const signed = `${HEADER}.${encode(claims)}`;
      const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
    keySetsFor: (program) => Object.fromEntries(program.providers.map((provider) => [provider.keySet, keySet])),
  };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
