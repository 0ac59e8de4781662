/*
 * An OpenID provider that rotates its keys: oidc-provider, with a client that gets JWTs with its credentials.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';

export interface IdentityProvider {
  readonly issuer: string;
  readonly jwksUri: string;
  /** Fetches of the keys so far. */
  readonly fetches: () => number;
  /** Signs with a new key from now on. @param kept ids of the other keys that are still published */
  readonly rotate: (kid: string, kept?: readonly string[]) => void;
  /** A token of the client `load`, signed with the newest key; valid for an hour. */
  readonly token: () => Promise<string>;
  readonly stop: () => Promise<void>;
}

type PrivateJwk = Readonly<Record<string, unknown>> & { readonly kid: string };

const CLIENT = 'load';
const SECRET = 'not-a-secret';
const AUDIENCE = 'shop';

/** Starts a provider that signs with the key `first`. */
export async function startIdentityProvider(address: string): Promise<IdentityProvider> {
  let handle: RequestListener = () => undefined;
  let keys: readonly PrivateJwk[] = [];
  let fetches = 0;
  const server = createServer((request, response) => {
    if (request.url === '/jwks') fetches += 1;
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const issuer = `http://${address}:${(server.address() as AddressInfo).port}`;
  const rotate: IdentityProvider['rotate'] = (kid, kept = []) => {
    keys = [newKey(kid), ...keys.filter((key) => kept.includes(key.kid))];
    handle = providerOf(issuer, keys);
  };
  rotate('first');
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    fetches: () => fetches,
    rotate,
    token: async () => {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${CLIENT}:${SECRET}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      const { access_token: token } = (await response.json()) as { readonly access_token?: string };
      if (token === undefined) throw new Error(`no token: status ${response.status}`);
      return token;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function newKey(kid: string): PrivateJwk {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
}

/** What a provider stores; tokens that are JWTs are not stored. */
class NoStore {
  async upsert(): Promise<void> {}
  async find(): Promise<undefined> {}
  async destroy(): Promise<void> {}
  async consume(): Promise<void> {}
}

function providerOf(issuer: string, keys: readonly PrivateJwk[]): RequestListener {
  const resourceServer = { scope: '', audience: AUDIENCE, accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'ES256' } } };
  const client = {
    client_id: CLIENT,
    client_secret: SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
  };
  return new Provider(issuer, {
    jwks: { keys },
    adapter: NoStore,
    ttl: { ClientCredentials: 3600 },
    clients: [client],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, defaultResource: () => 'urn:shop', getResourceServerInfo: () => resourceServer },
    },
  }).callback();
}
