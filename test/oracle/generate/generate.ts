/*
 * Generates new cases of every kind without decisions. The same seed gives the same cases, except for signatures and keys.
 */
import type { RecordedPort, RecordedWorkload } from '../../conformance/case-file.ts';
import type { Todo } from '../recorder.ts';
import { type Draw, drawsOf } from './draw.ts';
import { mutateRecorded } from './mutate.ts';
import { authorizationPolicy } from './policies.ts';
import type { PolicyScope } from './policy-values.ts';
import { drawProviders, type Provider } from './providers.ts';
import { ISSUERS, type JwtWorld, jwtWorld } from './request-authentications.ts';
import { drawRequests } from './requests.ts';
import { spoilAuthentication, spoilPolicy } from './spoil.ts';
import { CLAIM_WORDS, SUBJECTS } from './tokens.ts';

type Unrecorded = Todo['recorded'];
type Kind = 'authz' | 'jwt' | 'both' | 'http1' | 'custom' | 'tcp' | 'invalid' | 'mutated';

const KINDS: readonly Kind[] = [
  ...(['authz', 'authz', 'jwt', 'jwt', 'both', 'http1', 'custom', 'custom', 'tcp'] as const),
  ...(['invalid', 'invalid', 'mutated', 'mutated', 'mutated'] as const),
];
const REQUESTS = 12;
const NORMALIZATIONS = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES', 'DEFAULT'];

/** `count` cases for `seed`. */
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
  readonly extensionProviders?: readonly Provider[];
}

function drawMesh(draw: Draw, custom: boolean): Mesh {
  return {
    ...draw.maybe(0.15, () => ({ rootNamespace: 'mesh-root' })),
    ...draw.maybe(0.2, () => ({ trustDomain: 'td1' })),
    ...draw.maybe(0.25, () => ({
      trustDomainAliases: draw.some(['old-td', 'cluster.local', 'td1', 'other-td'], 1, 2),
    })),
    ...draw.maybe(0.5, () => ({ pathNormalization: { normalization: draw.pick(NORMALIZATIONS) } })),
    ...(custom ? { extensionProviders: drawProviders(draw) } : {}),
  };
}

function drawWorkload(draw: Draw, tcp: boolean, index: number): RecordedWorkload {
  const last = `${index >> 8}.${index & 255}`;
  const ports: readonly RecordedPort[] = tcp
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
  const tcp = kind === 'tcp' || (kind === 'invalid' && draw.chance(0.3));
  const custom = kind === 'custom' || (kind === 'invalid' && draw.chance(0.3));
  const mesh = drawMesh(draw, custom);
  const workload = drawWorkload(draw, tcp, index);
  const rootNamespace = mesh.rootNamespace ?? 'istio-system';
  const place = { namespace: workload.namespace, rootNamespace, labels: workload.labels };
  const jwt =
    kind === 'jwt' || kind === 'both' || ((kind === 'authz' || kind === 'invalid') && draw.chance(0.3)) ? jwtWorld(draw, place) : undefined;
  const providers = (mesh.extensionProviders ?? []).map(({ name }) => name);
  const policies = drawPolicies(draw, kind, {
    ...place,
    ip: workload.ip,
    ports: workload.ports.map(({ number }) => number),
    issuers: ISSUERS,
    subjects: SUBJECTS,
    claims: CLAIM_WORDS,
    providers: draw.chance(0.05) ? [...providers, 'nowhere'] : providers,
    tcp,
  });
  const oddity = { authz: 0.4, jwt: 0.1, both: 0.2, http1: 1, custom: 0.15, tcp: 0.05, invalid: 0.2, mutated: 0 }[kind];
  const scope = { ports: workload.ports, ip: workload.ip, jwt, oddity, asksAuthorizer: custom };
  const { requests, tokens } = drawRequests(draw, scope, REQUESTS);
  return {
    file,
    name: file,
    ...(Object.keys(mesh).length > 0 ? { meshConfig: mesh } : {}),
    ...(custom && draw.chance(0.5) ? { istioFeatures: { PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS: true } } : {}),
    workload,
    ...(Object.keys(tokens).length > 0 ? { tokens } : {}),
    ...(jwt === undefined || Object.keys(jwt.jwksServers).length === 0 ? {} : { jwksServers: jwt.jwksServers }),
    ...(kind === 'invalid' ? { applyInvalid: true } : {}),
    resources: [...resourcesOf(draw, kind, jwt), ...policies],
    requests,
  } as unknown as Unrecorded;
}

function drawPolicies(draw: Draw, kind: Kind, scope: PolicyScope): readonly object[] {
  const count = kind === 'jwt' || kind === 'http1' ? draw.upTo(1) : 1 + draw.upTo(3);
  const policies = draw.times(count, (index) => authorizationPolicy(draw, scope, index));
  return kind === 'invalid' ? policies.map((policy) => (draw.chance(0.7) ? spoilPolicy(draw, policy) : policy)) : policies;
}

function resourcesOf(draw: Draw, kind: Kind, jwt: JwtWorld | undefined): readonly object[] {
  const policies = jwt?.resources ?? [];
  return kind === 'invalid' ? policies.map((policy) => (draw.chance(0.4) ? spoilAuthentication(draw, policy) : policy)) : policies;
}
