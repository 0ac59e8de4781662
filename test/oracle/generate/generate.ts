/*
 * New cases of every kind. In: a seed and a number. Out: cases without decisions, the same for the same seed (signatures and
 * keys apart). The oracle has them decided.
 */
import type { RecordedPort, RecordedWorkload } from '../../conformance/case-file.ts';
import type { Todo } from '../recorder.ts';
import { type Draw, drawsOf } from './draw.ts';
import { mutateRecorded } from './mutate.ts';
import { authorizationPolicy, type PolicyScope } from './policies.ts';
import { ISSUERS, type JwtWorld, jwtWorld } from './request-authentications.ts';
import { drawRequests } from './requests.ts';
import { CLAIM_WORDS, SUBJECTS } from './tokens.ts';

type Unrecorded = Todo['recorded'];
type Kind = 'authz' | 'jwt' | 'both' | 'http1' | 'custom' | 'tcp' | 'mutated';

const KINDS: readonly Kind[] = ['authz', 'authz', 'jwt', 'jwt', 'both', 'http1', 'custom', 'tcp', 'mutated', 'mutated', 'mutated'];
const REQUESTS = 12;
const NORMALIZATIONS = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES', 'DEFAULT'];

/** `count` cases of `seed`. */
export function generateCases(seed: number, count: number): readonly Unrecorded[] {
  return drawsOf(seed, count).map((draw, index) => {
    const kind = draw.pick(KINDS);
    const file = `${kind}_s${seed}-${String(index).padStart(4, '0')}`;
    return kind === 'mutated' ? { ...mutateRecorded(draw), file, name: file } : drawCase(draw, kind, { file, index });
  });
}

interface Mesh {
  readonly rootNamespace?: string;
  readonly trustDomain?: string;
  readonly trustDomainAliases?: readonly string[];
  readonly pathNormalization?: object;
  readonly extensionProviders?: readonly { readonly name: string }[];
}

function drawMesh(draw: Draw, kind: Kind): Mesh {
  return {
    ...draw.maybe(0.15, () => ({ rootNamespace: 'mesh-root' })),
    ...draw.maybe(0.2, () => ({ trustDomain: 'td1' })),
    ...draw.maybe(0.25, () => ({ trustDomainAliases: draw.some(['old-td', 'cluster.local', 'td1', 'other-td'], 1, 2) })),
    ...draw.maybe(0.5, () => ({ pathNormalization: { normalization: draw.pick(NORMALIZATIONS) } })),
    ...(kind === 'custom' ? { extensionProviders: drawProviders(draw) } : {}),
  };
}

function drawProviders(draw: Draw): readonly { readonly name: string }[] {
  const http = {
    name: 'ext-http',
    envoyExtAuthzHttp: {
      service: 'ext.foo.svc.cluster.local',
      port: 8000,
      includeRequestHeadersInCheck: draw.pick([['x-ext-authz'], ['x-ext-authz', 'x-user'], ['x-*', 'cookie'], ['X-Ext-Authz']]),
      ...draw.maybe(0.4, () => ({
        includeAdditionalHeadersInCheck: { 'x-ext-authz-additional-header-new': 'new', 'x-ext-authz-additional-header-override': 'over' },
      })),
      ...draw.maybe(0.5, () => ({ headersToUpstreamOnAllow: draw.pick([['x-ext-authz-*'], ['x-ext-authz-check-result'], ['*-result']]) })),
      ...draw.maybe(0.5, () => ({
        headersToDownstreamOnDeny: draw.pick([['x-ext-authz-*'], ['content-type'], ['x-ext-authz-check-result', 'content-type']]),
      })),
    },
  };
  const grpc = { name: 'ext-grpc', envoyExtAuthzGrpc: { service: 'ext.foo.svc.cluster.local', port: 9000 } };
  return draw.pick([[http], [grpc], [http, grpc]]);
}

function drawWorkload(draw: Draw, kind: Kind, index: number): RecordedWorkload {
  const last = `${index >> 8}.${index & 255}`;
  const ports: readonly RecordedPort[] =
    kind === 'tcp'
      ? [
          { number: 8080, protocol: 'http' },
          { number: 9090, protocol: 'tcp' },
          ...(draw.chance(0.3) ? [{ number: 7777, protocol: 'tcp', undeclared: true } as const] : []),
        ]
      : [
          { number: 8080, protocol: draw.chance(0.1) ? 'grpc' : 'http' },
          ...(draw.chance(0.2) ? [{ number: 9090, protocol: 'http', ...(draw.chance(0.3) ? { undeclared: true } : {}) } as const] : []),
        ];
  return {
    name: 'app',
    namespace: 'foo',
    labels: { app: 'app', version: 'v1' },
    serviceAccount: 'app',
    ip: draw.chance(0.15) ? `2001:db8:f::${(index + 1).toString(16)}` : `10.130.${last}`,
    ports,
  };
}

function drawCase(draw: Draw, kind: Kind, { file, index }: { readonly file: string; readonly index: number }): Unrecorded {
  const mesh = drawMesh(draw, kind);
  const workload = drawWorkload(draw, kind, index);
  const rootNamespace = mesh.rootNamespace ?? 'istio-system';
  const place = { namespace: workload.namespace, rootNamespace, labels: workload.labels };
  const jwt = kind === 'jwt' || kind === 'both' || (kind === 'authz' && draw.chance(0.3)) ? jwtWorld(draw, place) : undefined;
  const providers = (mesh.extensionProviders ?? []).map(({ name }) => name);
  const policies = drawPolicies(draw, kind, {
    ...place,
    ip: workload.ip,
    ports: workload.ports.map(({ number }) => number),
    issuers: ISSUERS,
    subjects: SUBJECTS,
    claims: CLAIM_WORDS,
    providers: draw.chance(0.05) ? [...providers, 'nowhere'] : providers,
    tcp: kind === 'tcp',
  });
  const oddity = { authz: 0.4, jwt: 0.1, both: 0.2, http1: 1, custom: 0.15, tcp: 0.05, mutated: 0 }[kind];
  const scope = { ports: workload.ports, ip: workload.ip, jwt, oddity, asksAuthorizer: kind === 'custom' };
  const { requests, tokens } = drawRequests(draw, scope, REQUESTS);
  return {
    file,
    name: file,
    ...(Object.keys(mesh).length > 0 ? { meshConfig: mesh } : {}),
    ...(kind === 'custom' && draw.chance(0.5) ? { istioFeatures: { PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS: true } } : {}),
    workload,
    ...(Object.keys(tokens).length > 0 ? { tokens } : {}),
    ...(jwt === undefined || Object.keys(jwt.jwksServers).length === 0 ? {} : { jwksServers: jwt.jwksServers }),
    resources: [...resourcesOf(jwt), ...policies],
    requests,
  } as unknown as Unrecorded;
}

function drawPolicies(draw: Draw, kind: Kind, scope: PolicyScope): readonly object[] {
  const count = kind === 'jwt' || kind === 'http1' ? draw.upTo(1) : 1 + draw.upTo(3);
  return draw.times(count, (index) => authorizationPolicy(draw, scope, index));
}

function resourcesOf(jwt: JwtWorld | undefined): readonly object[] {
  return jwt?.resources ?? [];
}
