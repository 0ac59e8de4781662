/*
 * Verifies the ServiceAccount tokens of agents with the cluster's own keys: no request to the API server for each token.
 */
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, jwtVerify } from 'jose';
import * as z from 'zod/mini';
import { FEED_AUDIENCE } from '../api/kube/agent-contract.ts';
import { objectKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import { parsePayload } from '../feed/parse-payload.ts';
import { FeedRefusal } from './feed-refusal.ts';

/** The pod that a token is bound to. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Name of its ServiceAccount. */
  readonly serviceAccount: string;
  /** When the token expires, in milliseconds since the epoch. */
  readonly expiresMs: number;
}

/** Verifies tokens. */
export interface PodTokens {
  /** The pod of a token. @throws FeedRefusal */
  readonly verify: (token: string, signal: AbortSignal) => Promise<PodIdentity>;
}

/** Parts of the verification. */
export interface PodTokensOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
}

/** Keys of the cluster, and the issuer that its tokens name. */
interface ClusterKeys {
  readonly keys: ReturnType<typeof createLocalJWKSet>;
  readonly issuer: string;
  readonly readAtMs: number;
}

const DISCOVERY_PATH = '/.well-known/openid-configuration';
const KEYS_PATH = '/openid/v1/jwks';
/** Keys are read again after this time, in milliseconds. */
const MAX_AGE_MS = 10 * 60_000;
/** A token with an unknown key, or a failed read, causes one read in this time. */
const COOLDOWN_MS = 5_000;
/** Kubernetes' tokens have about 1,300 characters. */
const MAX_CHARACTERS = 8 * 1024;
/** Algorithms that API servers sign with. */
const ALGORITHMS = ['RS256', 'ES256', 'ES384', 'ES512'];

const discovery = z.object({ issuer: z.string().check(z.minLength(1)) });
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).check(z.maxLength(64)) });
const named = z.object({ name: z.string(), uid: z.string() });
const claims = z.object({
  exp: z.number(),
  'kubernetes.io': z.object({ namespace: z.string(), pod: named, serviceaccount: named }),
});

/** A later minor version may say more. */
const identitySchema: z.ZodMiniType<PodIdentity> = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  serviceAccount: z.string(),
  expiresMs: z.number(),
});

/** The identity in a payload, as another replica verified it; undefined: it has no identity. */
export function parseIdentity(payload: Buffer): PodIdentity | undefined {
  return parsePayload(identitySchema, payload);
}

/** The ServiceAccount, `namespace/name`, of a token of this process, which is not verified; undefined: it is not a token of a ServiceAccount. */
export function accountOfToken(token: string): string | undefined {
  try {
    const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(decodeJwt(token).sub ?? '') ?? [];
    return namespace === undefined || name === undefined ? undefined : objectKey(namespace, name);
  } catch {
    return undefined;
  }
}

/** Tokens of the cluster that `client` talks to. */
export function createPodTokens({ client, clock }: PodTokensOptions): PodTokens {
  let known: ClusterKeys | undefined;
  let reading: Promise<ClusterKeys> | undefined;
  let startedMs = Number.NEGATIVE_INFINITY;
  const read = async (signal: AbortSignal): Promise<ClusterKeys> => {
    const [about, set] = await Promise.all(
      [DISCOVERY_PATH, KEYS_PATH].map((path) => client.request({ method: 'GET', path, accept: '*/*', signal })),
    );
    const { issuer } = discovery.parse(about?.json);
    known = { keys: createLocalJWKSet(keySet.parse(set?.json) as JSONWebKeySet), issuer, readAtMs: clock.nowMs() };
    return known;
  };
  /** One read at a time, and one in the cooldown. @returns what is known when there may be none now */
  const refresh = async (signal: AbortSignal): Promise<ClusterKeys> => {
    if (reading === undefined && clock.nowMs() - startedMs >= COOLDOWN_MS) {
      startedMs = clock.nowMs();
      reading = read(signal).finally(() => {
        reading = undefined;
      });
    }
    try {
      return (await reading) ?? requireKnown(known);
    } catch (cause) {
      if (known !== undefined) return known;
      throw new FeedRefusal('unavailable', 'the keys of the cluster cannot be read', { cause });
    }
  };
  return {
    verify: async (token, signal) => {
      if (token.length > MAX_CHARACTERS) throw new FeedRefusal('token', 'the token is too long');
      const isFresh = known !== undefined && clock.nowMs() - known.readAtMs < MAX_AGE_MS;
      const first = isFresh ? requireKnown(known) : await refresh(signal);
      try {
        return await verifyWith(first, token, clock);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw refusalOf(error);
        const next = await refresh(signal);
        if (next === first) throw refusalOf(error);
        return await verifyWith(next, token, clock).catch((again: unknown) => {
          throw refusalOf(again);
        });
      }
    },
  };
}

async function verifyWith({ keys, issuer }: ClusterKeys, token: string, clock: Clock): Promise<PodIdentity> {
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience: FEED_AUDIENCE,
    algorithms: ALGORITHMS,
    currentDate: new Date(clock.wallMs()),
  });
  const parsed = claims.safeParse(payload);
  if (!parsed.success) throw new FeedRefusal('token', 'the token is not bound to a pod');
  const { namespace, pod, serviceaccount } = parsed.data['kubernetes.io'];
  return { namespace, ...pod, serviceAccount: serviceaccount.name, expiresMs: parsed.data.exp * 1000 };
}

function refusalOf(cause: unknown): FeedRefusal {
  if (cause instanceof FeedRefusal) return cause;
  const code = cause instanceof errors.JOSEError ? cause.code : 'ERR_JWT';
  return new FeedRefusal('token', `the token is invalid (${code})`, { cause });
}

function requireKnown(known: ClusterKeys | undefined): ClusterKeys {
  if (known === undefined) throw new FeedRefusal('unavailable', 'the keys of the cluster are not read yet');
  return known;
}
