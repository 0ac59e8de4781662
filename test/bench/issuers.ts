/*
 * `node test/bench/issuers.ts [--issuers N] [--rounds N] [--source DIR]`: the cost of a request with a token of the first and of the last of N
 * issuers, for cached and for new tokens. Measured in turns on the authenticator alone. Prints medians and ratios.
 */
import { createHmac } from 'node:crypto';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { createAuthenticator as Create } from '../../src/jwt/authenticator.ts';
import type { TokenRequest } from '../../src/jwt/token-request.ts';
import type { JwtProvider } from '../../src/policy/model/program.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';

const { values } = parseArgs({
  options: {
    issuers: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '41' },
    source: { type: 'string', default: '.' },
  },
});
const issuers = Array.from({ length: Number(values.issuers) }, (_, at) => `https://issuer-${at}.example`);
const SECRET = Buffer.alloc(32, 7);
const PADDING = 'x'.repeat(600);
const REQUESTS = 500;
const NOW = 1_788_220_800;

const rules = issuers.map(
  (issuer, at): JwtProvider => ({
    name: `origins-${at}`,
    source: { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 1, rule: at },
    issuer,
    audiences: [],
    headers: [{ name: 'authorization', prefix: 'Bearer ' }],
    params: ['access_token'],
    cookies: [],
    forward: true,
    payloadHeader: '',
    claimHeaders: [],
    spaceDelimitedClaims: ['permission', 'scope'],
    keySet: 'keys',
    required: false,
  }),
);

function tokenOf(issuer: string, subject: string): string {
  const parts = [{ alg: 'HS256' }, { iss: issuer, sub: subject, exp: NOW * 2, padding: PADDING }];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
}

function requestOf(token: string): TokenRequest {
  const headers = ['accept', '*/*', 'authorization', `Bearer ${token}`];
  const request = { method: 'GET', scheme: 'http', host: 'app', target: '/path', headers, isRewritten: false };
  return { ...request, headerValues: () => [], removePseudoHeader: () => {} };
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

async function main(): Promise<void> {
  const module = (await import(resolve(values.source, 'src/jwt/authenticator.ts'))) as { readonly createAuthenticator: typeof Create };
  const keySets = { keys: { source: 'bench', keys: [{ kty: 'oct', k: SECRET.toString('base64url') }] } };
  const authenticator = module.createAuthenticator(rules, keySets);
  const ends = [issuers[0] ?? '', issuers.at(-1) ?? ''];
  const known = ends.map((issuer) => requestOf(tokenOf(issuer, 'known')));
  let made = 0;
  /** Microseconds a request. */
  const time = (requests: readonly TokenRequest[]): number => {
    const startMs = performance.now();
    for (const request of requests) {
      if (authenticator.authenticate(request, NOW).kind !== 'verified') throw new Error('a token was refused');
    }
    return ((performance.now() - startMs) * 1000) / requests.length;
  };
  for (const kind of ['cached', 'new'] as const) {
    const times: [number[], number[]] = [[], []];
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        const requests = Array.from({ length: REQUESTS }, () =>
          kind === 'cached' ? (known[at] as TokenRequest) : requestOf(tokenOf(ends[at] ?? '', `user-${made++}`)),
        );
        times[at].push(time(requests));
      }
    }
    const [first, last] = times.map(median) as [number, number];
    process.stdout.write(
      `${kind} token: first issuer ${first.toFixed(2)} us, last of ${issuers.length} ${last.toFixed(2)} us, ratio ${(last / first).toFixed(2)}\n`,
    );
    reportRatio(['issuers', `${kind} token`, 'last to first'], last / first, TOLERANCE.time);
  }
}

await main();
