/*
 * Creates the example's key pair and tokens: `node examples/jwt-task/make-tokens.ts DIR` writes jwks.json (public key),
 * token, token-group, token-group-string, token-expired and token-other-key into DIR. The private key is never written.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

/** The issuer and subject of Istio's own task. */
const ISSUER = 'testing@secure.istio.io';

/** Tokens by file name. All but `token-expired` are valid for a day; `token-other-key` is signed by a key that the set does not hold. */
export interface ExampleTokens {
  readonly jwks: string;
  readonly tokens: Readonly<Record<'token' | 'token-group' | 'token-group-string' | 'token-expired' | 'token-other-key', string>>;
}

/** A fresh RSA key pair, its JWKS and one token of each kind. */
export async function makeTokens(nowSeconds: number): Promise<ExampleTokens> {
  const kid = 'example-1';
  const good = await generateKeyPair('RS256', { modulusLength: 2048 });
  const other = await generateKeyPair('RS256', { modulusLength: 2048 });
  const sign = (claims: JWTPayload, expires: number, key = good.privateKey): Promise<string> =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT' })
      .setIssuer(ISSUER)
      .setSubject(ISSUER)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(expires)
      .sign(key);
  const tomorrow = nowSeconds + 24 * 3600;
  return {
    jwks: `${JSON.stringify({ keys: [{ ...(await exportJWK(good.publicKey)), kid, use: 'sig', alg: 'RS256' }] }, null, 2)}\n`,
    tokens: {
      token: await sign({ foo: 'bar' }, tomorrow),
      'token-group': await sign({ groups: ['group1', 'group2'] }, tomorrow),
      'token-group-string': await sign({ groups: 'group1' }, tomorrow),
      'token-expired': await sign({}, nowSeconds - 3600),
      'token-other-key': await sign({}, tomorrow, other.privateKey),
    },
  };
}

/** Writes what {@link makeTokens} makes into `directory`, one file each. */
export async function writeTokens(directory: string, made: ExampleTokens): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'jwks.json'), made.jwks);
  for (const [name, token] of Object.entries(made.tokens)) await writeFile(join(directory, name), token);
}

if (import.meta.main) {
  const directory = process.argv[2];
  if (directory === undefined) {
    process.stderr.write('usage: node examples/jwt-task/make-tokens.ts DIR\n');
    process.exit(64);
  }
  await writeTokens(directory, await makeTokens(Math.floor(Date.now() / 1000)));
}
