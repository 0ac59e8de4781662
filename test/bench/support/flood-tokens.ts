/*
 * Keys and tokens for floods: as many distinct tokens as anyone sends, of a few signatures.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** Algorithms of a flood; RS4096 is RS256 with a key of 4096 bits. */
export const FLOOD_ALGORITHMS = ['RS256', 'ES256', 'RS4096'] as const;
export type FloodAlgorithm = (typeof FLOOD_ALGORITHMS)[number];

/** The issuer of all tokens. */
export const FLOOD_ISSUER = 'https://issuer.example';

const PADDING = 'x'.repeat(300);
const SIGNATURES = 50;
/** Empty pieces between dots do not count, so each place for dots multiplies the texts of a token. */
const DOTS = 40;

/** The key pairs and what is made of them. */
export class FloodTokens {
  readonly #keys: ReadonlyMap<FloodAlgorithm, KeyObject>;
  readonly jwks: string;

  constructor() {
    const pairs = FLOOD_ALGORITHMS.map((name) => [name, keyPair(name)] as const);
    this.#keys = new Map(pairs);
    const keys = pairs.map(([name, pair]) => {
      const { kty, n, e, crv, x, y } = pair.export({ format: 'jwk' });
      return { kty, n, e, crv, x, y, kid: name };
    });
    this.jwks = JSON.stringify({ keys });
  }

  /** A valid token. */
  signed(name: FloodAlgorithm, subject: string): string {
    const header = { alg: name === 'ES256' ? 'ES256' : 'RS256', kid: name };
    const payload = { iss: FLOOD_ISSUER, sub: subject, exp: 4_000_000_000, padding: PADDING };
    const text = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const key = { key: this.#keys.get(name) as KeyObject, dsaEncoding: 'ieee-p1363' } as const;
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  }

  /** Endlessly many distinct tokens with valid signatures. */
  *valid(name: FloodAlgorithm): Generator<string> {
    const tokens = Array.from({ length: SIGNATURES }, (_, at) => this.signed(name, `new-${at}`));
    for (let round = 0; ; round += 1) {
      const places = [round % DOTS, Math.floor(round / DOTS) % DOTS, Math.floor(round / DOTS / DOTS) + 1];
      for (const token of tokens) {
        const [header, payload, signature] = token.split('.');
        yield `${header}${'.'.repeat((places[0] ?? 0) + 1)}${payload}${'.'.repeat((places[1] ?? 0) + 1)}${signature}${'.'.repeat(places[2] ?? 0)}`;
      }
    }
  }

  /** Endlessly many distinct tokens with invalid signatures. */
  *garbage(name: FloodAlgorithm): Generator<string> {
    const token = this.signed(name, 'garbage');
    const end = token.lastIndexOf('.') + 1;
    const signature = Buffer.from(token.slice(end), 'base64url');
    for (;;) {
      // The first byte stays, so that the number is not larger than the modulus or the order of the curve.
      randomBytes(signature.length - 1).copy(signature, 1);
      yield token.slice(0, end) + signature.toString('base64url');
    }
  }
}

function keyPair(name: FloodAlgorithm): KeyObject {
  return name === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    : generateKeyPairSync('rsa', { modulusLength: name === 'RS4096' ? 4096 : 2048 }).privateKey;
}
