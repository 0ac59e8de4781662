/*
 * Policies of the soak test, of which every version has known verdicts, and the check of a request against the versions that were
 * active meanwhile.
 */
import { ISSUER, JWKS, TOKEN } from '../bench/support/demo-token.ts';

/** A valid token with its last characters replaced. */
export const BROKEN_TOKEN: string = `${TOKEN.slice(0, -6)}AAAAAA`;

/** The policies that never change. */
export const FIXED_POLICIES: readonly (readonly ['RequestAuthentication' | 'AuthorizationPolicy', string, object])[] = [
  ['RequestAuthentication', 'jwt', { jwtRules: [{ issuer: ISSUER, jwks: JWKS }] }],
  [
    'AuthorizationPolicy',
    'allow',
    {
      rules: [
        { to: [{ operation: { notPaths: ['/private/*'] } }] },
        { from: [{ source: { requestPrincipals: [`${ISSUER}/${ISSUER}`] } }], to: [{ operation: { paths: ['/private/*'] } }] },
      ],
    },
  ],
];

/** The spec of the policy that changes: even versions deny `/turn/even`, odd ones `/turn/odd`; all deny `/admin`. */
export function turningSpec(version: number): object {
  return { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin', turnOf(version), `/marker/${version}`] } }] }] };
}

const turnOf = (version: number): string => (version % 2 === 0 ? '/turn/even' : '/turn/odd');

/** The version in the JSON of a bundle; undefined: the changing policy is not in it. */
export function versionOf(json: string): number | undefined {
  const found = /\/marker\/([0-9]+)/.exec(json)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** The JSON of a bundle of version `from`, turned into version `to`. */
export function turned(json: string, from: number, to: number): string {
  return json.replaceAll(`"/marker/${from}"`, `"/marker/${to}"`).replaceAll(`"${turnOf(from)}"`, `"${turnOf(to)}"`);
}

/** A request of a good client, and the status that a version gives it. */
export interface Probe {
  readonly name: string;
  /** Request line and fields after Host, without the request id. */
  readonly line: string;
  readonly fields: readonly string[];
  readonly body: string;
  readonly status: (version: number) => number;
}

const probe = (name: string, line: string, status: Probe['status'], fields: readonly string[] = [], body = ''): Probe => ({
  name,
  line,
  fields,
  body,
  status,
});
const LARGE = 'x'.repeat(50_000);

/** All requests of good clients. */
export const PROBES: readonly Probe[] = [
  probe('even', 'GET /turn/even HTTP/1.1', (version) => (version % 2 === 0 ? 403 : 200)),
  probe('odd', 'GET /turn/odd HTTP/1.1', (version) => (version % 2 === 0 ? 200 : 403)),
  probe('open', 'GET /open?a=b HTTP/1.1', () => 200),
  probe('admin', 'GET /x/../admin HTTP/1.1', () => 403),
  probe('private with a token', 'GET /private/x HTTP/1.1', () => 200, [`Authorization: Bearer ${TOKEN}`]),
  probe('private without a token', 'GET /private/x HTTP/1.1', () => 403),
  probe('broken token', 'GET /open HTTP/1.1', () => 401, [`Authorization: Bearer ${BROKEN_TOKEN}`]),
  probe('body', 'POST /open HTTP/1.1', () => 200, [`Content-Length: ${LARGE.length}`], LARGE),
  probe('denied body', 'POST /admin HTTP/1.1', () => 403, ['Content-Length: 5'], 'hello'),
];

/** Why the status is wrong; undefined: one of the versions from `floor` to `ceiling` gives it. */
export function wrongStatus({ name, status }: Probe, given: number, floor: number, ceiling: number): string | undefined {
  for (let version = Math.max(floor, ceiling - 1); version <= ceiling; version += 1) if (status(version) === given) return undefined;
  return `${name}: status ${given}, versions ${floor} to ${ceiling} give ${status(floor)} and ${status(ceiling)}`;
}
