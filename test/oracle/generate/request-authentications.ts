/*
 * Generates RequestAuthentications with every token location, output and source of keys, the servers of their key URLs, and the
 * locations where requests may carry tokens.
 */
import type { Draw } from './draw.ts';
import { certificateMapOf, keySetOf } from './key-sets.ts';
import { KEYS, type SigningKey } from './keys.ts';
import { createdAt, targetsOf } from './metadata.ts';

export interface Issuer {
  readonly name: string;
  readonly keys: readonly SigningKey[];
}

export const ISSUERS: readonly string[] = ['https://issuer.example.com', 'issuer-2@example.org', 'iss3', 'https://issuer.example.com/'];

export interface JwtWorld {
  readonly issuers: readonly Issuer[];
  readonly resources: readonly object[];
  readonly jwksServers: Readonly<Record<string, string>>;
  /** Token locations of the rules. */
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
}

interface Locations {
  readonly headers: { name: string; prefix: string }[];
  readonly params: string[];
  readonly cookies: string[];
}

const FROM_HEADERS: readonly { readonly name: string; readonly prefix?: string }[] = [
  { name: 'x-jwt' },
  {
    name: 'x-jwt',
    prefix: 'Tok ',
  },
  {
    name: 'X-Jwt',
    prefix: 'Bearer ',
  },
  {
    name: 'authorization',
    prefix: 'Bearer ',
  },
  {
    name: 'Authorization',
    prefix: 'Tok ',
  },
  { name: 'authorization' },
  {
    name: 'x-jwt',
    prefix: 'T',
  },
  {
    name: 'cookie',
    prefix: 'tok=',
  },
  {
    name: 'x-alt',
    prefix: '',
  },
  {
    name: 'x-jwt',
    prefix: 'Tok=',
  },
  {
    name: 'proxy-authorization',
    prefix: 'Bearer ',
  },
];
const OUTPUT_CLAIMS = [
  'sub',
  'iss',
  'aud',
  'groups',
  'scope',
  'odd',
  'level',
  'custom',
  'realm',
  'realm.tenant',
  'realm.roles',
  'realm.deep',
  'realm.deep.odd',
  'a.b',
  'missing',
  'realm.missing',
  'exp',
  'sub.x',
  'nbf',
  'realm.deep.list',
];

function locations(draw: Draw, found: Locations): object {
  if (draw.chance(0.45)) return {};
  const fromHeaders = draw.chance(0.6) ? draw.some(FROM_HEADERS, 1, 2) : [];
  const fromParams = draw.chance(0.35) ? draw.some(['tok', 'access_token', 'TOK', 'a b', 't%6fk', 'tok[]', 'ü'], 1, 2) : [];
  const fromCookies = draw.chance(0.35) ? draw.some(['sess', 'tok', 'SESS', 'a-b'], 1, 2) : [];
  found.headers.push(...fromHeaders.map(({ name, prefix = '' }) => ({ name, prefix })));
  found.params.push(...fromParams);
  found.cookies.push(...fromCookies);
  return {
    ...(fromHeaders.length > 0 ? { fromHeaders } : {}),
    ...(fromParams.length > 0 ? { fromParams } : {}),
    ...(fromCookies.length > 0 ? { fromCookies } : {}),
  };
}

function jwtRule(draw: Draw, issuer: Issuer, found: Locations, servers: Record<string, string>): object {
  const inline = draw.chance(0.75) || issuer.keys.some(({ jwk }) => jwk['kty'] === 'oct');
  return {
    ...draw.maybe(0.97, () => ({ issuer: issuer.name })),
    ...(inline ? { jwks: keySetOf(draw, issuer.keys) } : served(draw, issuer, servers)),
    ...locations(draw, found),
    ...draw.maybe(0.25, () => ({
      audiences: draw.some(
        ['aud-1', 'aud-2', 'https://svc.example.com', 'svc.example.com/', 'http://svc.example.com/', 'other', 'AUD-1', 'aud-1/'],
        1,
        2,
      ),
    })),
    ...draw.maybe(0.4, () => ({ forwardOriginalToken: draw.chance(0.7) })),
    ...draw.maybe(0.3, () => ({
      outputPayloadToHeader: draw.pick(['x-payload', 'X-Payload', 'x-payload', 'x-user', 'authorization', 'x-jwt', 'x-out', 'x y', 'x:y']),
    })),
    ...draw.maybe(0.4, () => ({
      outputClaimToHeaders: draw.times(1 + draw.upTo(3), (index) => ({
        header: draw.pick([`x-claim-${index}`, `X-Claim-${index}`, 'x-user', 'x-out', 'x-claim-0', 'x-payload']),
        claim: draw.pick(OUTPUT_CLAIMS),
      })),
    })),
    ...draw.maybe(0.25, () => ({
      spaceDelimitedClaims: draw.some(['custom', 'groups', 'odd', 'realm', 'scope', 'aud', 'sub', 'a.b', 'realm.tenant'], 1, 2),
    })),
  };
}

/** Keys at a URL that the rule contains or that discovery finds. */
function served(draw: Draw, { name, keys }: Issuer, servers: Record<string, string>): object {
  const url = `https://keys.example.com/${Object.keys(servers).length}`;
  const certified = keys.some(({ kid }) => kid.startsWith('rsa')) && draw.chance(0.4);
  if (draw.chance(0.9)) servers[url] = certified ? certificateMapOf(draw, keys) : keySetOf(draw, keys);
  if (draw.chance(0.85)) return { jwksUri: url };
  const place = `${name.replace(/\/$/, '')}/.well-known/openid-configuration`;
  servers[place] ??= draw.pick([
    JSON.stringify({ issuer: name, jwks_uri: url }),
    JSON.stringify({ jwks_uri: url }),
    '{"jwks_uri":5}',
    '{}',
  ]);
  return {};
}

/** Few rules in several policies, which Istio orders by creation time and name. It does not order more than twelve rules reliably. */
function shapeOf(draw: Draw): { readonly policies: number; readonly rules: () => number } {
  if (draw.chance(0.15)) return { policies: 4 + draw.upTo(2), rules: () => 1 + draw.upTo(1) };
  return { policies: 1 + draw.upTo(draw.chance(0.5) ? 0 : 2), rules: () => 1 + draw.upTo(draw.chance(0.5) ? 0 : 2) };
}

/** One to six RequestAuthentications with their issuers. */
export function jwtWorld(
  draw: Draw,
  scope: { readonly namespace: string; readonly rootNamespace: string; readonly labels: Readonly<Record<string, string>> },
): JwtWorld {
  const issuers = draw.some(ISSUERS, 1, 3).map((name) => ({ name, keys: draw.some(KEYS, 1, 3) }));
  const found: Locations = { headers: [], params: [], cookies: [] };
  const servers: Record<string, string> = {};
  const { policies, rules } = shapeOf(draw);
  const resources = draw.times(policies, (index) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: {
      name: `${draw.pick(['ra', 'ra', 'zz', 'a', 'r.a'])}-${index}`,
      namespace: draw.pick([scope.namespace, scope.namespace, scope.rootNamespace]),
      ...createdAt(draw),
    },
    spec: {
      ...(draw.chance(0.05) ? targetsOf(draw) : draw.maybe(0.2, () => ({ selector: { matchLabels: scope.labels } }))),
      jwtRules: draw.times(rules(), () => jwtRule(draw, draw.pick(issuers), found, servers)),
    },
  }));
  return { issuers, resources, jwksServers: servers, ...found };
}
