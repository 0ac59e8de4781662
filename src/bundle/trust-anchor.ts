/*
 * The trust anchor of an agent: the cluster and the public root keys, which injection writes into its environment.
 */
import * as z from 'zod/mini';
import { RefusedError } from '../errors.ts';
import { isCoordinate } from './jws.ts';

/** What an agent trusts before it reads any bundle. */
export interface TrustAnchor {
  /** UID of the namespace kube-system; `local` for `sallyport run`. */
  readonly cluster: string;
  /** Public keys of the roots in base64url. */
  readonly roots: readonly string[];
}

const jwk = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().check(z.refine(isCoordinate)),
});
const schema = z.strictObject({
  cluster: z.string().check(z.minLength(1), z.maxLength(253)),
  keys: z.array(jwk).check(z.minLength(1), z.maxLength(8)),
});

/** The anchor as JSON, in one line. */
export function formatTrustAnchor({ cluster, roots }: TrustAnchor): string {
  return JSON.stringify({ cluster, keys: roots.map((x) => ({ kty: 'OKP', crv: 'Ed25519', x })) });
}

/** Parses what {@link formatTrustAnchor} wrote. @throws RefusedError SP_CONFIG */
export function parseTrustAnchor(text: string): TrustAnchor {
  const parsed = schema.safeParse(jsonOf(text));
  if (!parsed.success)
    throw new RefusedError('SP_CONFIG', 'not a trust anchor: {"cluster":…,"keys":[{"kty":"OKP","crv":"Ed25519","x":…}]}');
  return { cluster: parsed.data.cluster, roots: parsed.data.keys.map(({ x }) => x) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
