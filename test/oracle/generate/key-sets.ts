/*
 * Generates documents with the keys of an issuer: key sets, and maps of certificates like Google serves them. Most are valid.
 */
import 'reflect-metadata';
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Draw } from './draw.ts';
import { KEYS, type SigningKey } from './keys.ts';

x509.cryptoProvider.set(globalThis.crypto);

const CERTIFIED: Readonly<Record<string, webcrypto.EcKeyImportParams & { readonly hash: string }>> = {
  rsa: { name: 'RSASSA-PKCS1-v1_5', namedCurve: '', hash: 'SHA-256' },
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
};

/** Certificates by key ID, for the keys that can have one here. */
const CERTIFICATES: ReadonlyMap<string, string> = new Map(
  await Promise.all(KEYS.filter(({ kid }) => /^(rsa|ec256)/.test(kid)).map(async (key) => [key.kid, await certificateOf(key)] as const)),
);

async function certificateOf({ secret }: SigningKey): Promise<string> {
  const privateKey = secret as KeyObject;
  const algorithm = CERTIFIED[privateKey.asymmetricKeyType ?? ''] as webcrypto.EcKeyImportParams & { readonly hash: string };
  const keys = {
    privateKey: privateKey.toCryptoKey(algorithm, true, ['sign']),
    publicKey: createPublicKey(privateKey).toCryptoKey(algorithm, true, ['verify']),
  };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({ name: 'CN=issuer', keys, signingAlgorithm: algorithm });
  return `${certificate.toString('pem')}\n`;
}

/** A map of certificates by key ID. It contains only RSA keys; without any it is invalid. */
export function certificateMapOf(draw: Draw, keys: readonly SigningKey[]): string {
  const usable = keys.filter(({ kid }) => kid.startsWith('rsa'));
  const members = Object.fromEntries(usable.map(({ kid }) => [kid, pemOf(draw, CERTIFICATES.get(kid) ?? '')]));
  const odd = draw.maybe(0.1, () =>
    draw.pick<object>([
      { 'ec256-a': CERTIFICATES.get('ec256-a') },
      { x: 5 },
      { x: '' },
      { keys: 5 },
      { x: 'x' },
      { '': CERTIFICATES.get('rsa-a') },
    ]),
  );
  return JSON.stringify({ ...members, ...odd });
}

function pemOf(draw: Draw, pem: string): string {
  if (draw.chance(0.8)) return pem;
  return draw.pick([
    pem.trim(),
    pem.replaceAll('\n', '\r\n'),
    `${pem}${pem}`,
    ` ${pem}`,
    `x\n${pem}`,
    pem.slice(0, -40),
    pem.replace('MII', 'MI'),
    `${pem}x`,
  ]);
}

/** A key set of `keys`, with the members that issuers add or leave out. */
export function keySetOf(draw: Draw, keys: readonly SigningKey[]): string {
  const members = keys.map(({ jwk, kid, algorithms, secret }) => ({
    ...(draw.chance(0.06) && !Buffer.isBuffer(secret) ? secret.export({ format: 'jwk' }) : jwk),
    ...draw.maybe(0.85, () => ({ kid })),
    ...draw.maybe(0.3, () => ({
      alg: draw.chance(0.9) ? (algorithms[0] ?? '') : draw.pick(['ES256', 'RS256', 'RS512', 'none', 'EdDSA', 'HS256']),
    })),
    ...draw.maybe(0.2, () => ({ use: draw.pick(['sig', 'enc', '']) })),
    ...draw.maybe(0.1, () => ({ key_ops: [draw.pick(['verify', 'sign', 'encrypt'])] })),
  }));
  const odd: readonly object[] = draw.chance(0.08)
    ? [
        draw.pick<object>([
          { kty: 'RSA', n: 'AQAB', e: 'AQAB' },
          { kty: 'EC', crv: 'P-999', x: 'AA', y: 'AA' },
          { kty: 'OKP', crv: 'Ed448', x: 'AA' },
          { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' },
        ]),
      ]
    : [];
  // The same key again, or another one with the same ID.
  const again = draw.chance(0.1) ? [{ ...draw.pick([...members, ...KEYS.map(({ jwk }) => jwk)]), kid: draw.pick(keys).kid }] : [];
  const all = [...members, ...odd, ...again];
  return JSON.stringify({ keys: draw.some(all, all.length, all.length) });
}
