/*
 * Parses the raw Kubernetes JSON of one policy into the typed value of resources.ts, like Istio's decoder. Whether the values
 * are valid is decided by validate-policy.
 */
import { NS_PER_MS } from '../go/duration.ts';
import { type DecodeContext, describeValue, isRecord } from './decode-message.ts';
import {
  type DecodedAuthorizationPolicySpec,
  type DecodedJwtRule,
  type DecodedRequestAuthenticationSpec,
  type DecodedTargetReference,
  decodeAuthorizationPolicySpec,
  decodeRequestAuthenticationSpec,
} from './decode-policy.ts';
import type {
  AuthorizationPolicy,
  AuthorizationRule,
  JwtRule,
  Policy,
  PolicyMetadata,
  PolicyTargetReference,
  RequestAuthentication,
} from './resources.ts';
import type { AdmissionFinding } from './validation-finding.ts';

/** A parsed policy and the decoder's findings. `value` is absent if and only if a finding is an error: an object is never parsed in part. */
export interface ParseResult<P extends Policy> {
  readonly value?: P;
  readonly findings: readonly AdmissionFinding[];
}

const DEFAULT_NAMESPACE = 'default';
const KEPT_ANNOTATIONS = ['istio.io/', 'internal.istio.io/', 'sallyport.dev/'] as const;

/** Parses a RequestAuthentication of any served version. */
export function parseRequestAuthentication(object: unknown): ParseResult<RequestAuthentication> {
  return parse(object, decodeRequestAuthenticationSpec, (metadata, spec) => ({
    kind: 'RequestAuthentication',
    metadata,
    spec: requestAuthenticationSpec(spec),
  }));
}

/** Parses an AuthorizationPolicy of any served version. An absent `action` becomes ALLOW. */
export function parseAuthorizationPolicy(object: unknown): ParseResult<AuthorizationPolicy> {
  return parse(object, decodeAuthorizationPolicySpec, (metadata, spec) => ({
    kind: 'AuthorizationPolicy',
    metadata,
    spec: authorizationPolicySpec(spec),
  }));
}

/** Parses a policy of either kind; any other `kind` is an error finding. */
export function parsePolicy(object: unknown): ParseResult<Policy> {
  const kind = isRecord(object) ? object['kind'] : undefined;
  if (kind === 'RequestAuthentication') return parseRequestAuthentication(object);
  if (kind === 'AuthorizationPolicy') return parseAuthorizationPolicy(object);
  const message = `unrecognized kind ${typeof kind === 'string' ? JSON.stringify(kind) : '(none)'}`;
  return { findings: [{ code: 'SP_SCHEMA', severity: 'error', path: 'kind', message }] };
}

/** The metadata that determines the meaning of a policy; an absent namespace is `default`. */
export function policyMetadata(object: unknown): PolicyMetadata {
  const raw = isRecord(object) && isRecord(object['metadata']) ? object['metadata'] : {};
  const annotations = keptAnnotations(raw['annotations']);
  return {
    namespace: nonEmpty(raw['namespace']) ?? DEFAULT_NAMESPACE,
    name: nonEmpty(raw['name']) ?? '',
    ...optional('uid', nonEmpty(raw['uid'])),
    ...optional('generation', typeof raw['generation'] === 'number' ? raw['generation'] : undefined),
    ...optional('creationTimestamp', nonEmpty(raw['creationTimestamp'])),
    ...optional('resourceVersion', nonEmpty(raw['resourceVersion'])),
    ...optional('annotations', annotations),
  };
}

function parse<S, P extends Policy>(
  object: unknown,
  decode: (value: unknown, context: DecodeContext) => S | undefined,
  build: (metadata: PolicyMetadata, spec: S) => P,
): ParseResult<P> {
  const findings: AdmissionFinding[] = [];
  const rawSpec = isRecord(object) ? object['spec'] : undefined;
  const spec = decode(rawSpec ?? {}, { path: 'spec', findings });
  if (!isRecord(object))
    findings.push({ code: 'SP_SCHEMA', severity: 'error', path: '', message: `expected an object, found ${describeValue(object)}` });
  if (spec === undefined || findings.some((finding) => finding.severity === 'error')) return { findings };
  return { value: build(policyMetadata(object), spec), findings };
}

function requestAuthenticationSpec(spec: DecodedRequestAuthenticationSpec): RequestAuthentication['spec'] {
  return {
    ...optional('selector', spec.selector),
    ...optional('targetRefs', foldTargets(spec.targetRef, spec.targetRefs)),
    ...optional('jwtRules', spec.jwtRules?.map(jwtRule)),
  };
}

function authorizationPolicySpec(spec: DecodedAuthorizationPolicySpec): AuthorizationPolicy['spec'] {
  return {
    ...optional('selector', spec.selector),
    ...optional('targetRefs', foldTargets(spec.targetRef, spec.targetRefs)),
    action: spec.action ?? 'ALLOW',
    ...optional('provider', spec.provider === undefined ? undefined : { name: spec.provider.name ?? '' }),
    ...optional(
      'rules',
      spec.rules?.map((rule): AuthorizationRule => {
        const { when, ...rest } = rule;
        return {
          ...rest,
          ...optional(
            'when',
            when?.map((condition) => ({ ...condition, key: condition.key ?? '' })),
          ),
        };
      }),
    ),
  };
}

function jwtRule(decoded: DecodedJwtRule): JwtRule {
  const { timeout, fromHeaders, outputClaimToHeaders, ...rest } = decoded;
  return {
    ...rest,
    ...optional(
      'fromHeaders',
      fromHeaders?.map((header) => ({ ...header, name: header.name ?? '' })),
    ),
    ...optional(
      'outputClaimToHeaders',
      outputClaimToHeaders?.map(({ header = '', claim = '' }) => ({ header, claim })),
    ),
    ...optional('timeoutMs', timeout === undefined ? undefined : Number(timeout) / Number(NS_PER_MS)),
  };
}

function foldTargets(
  single: DecodedTargetReference | undefined,
  several: readonly DecodedTargetReference[] | undefined,
): readonly PolicyTargetReference[] | undefined {
  const all = [...(single === undefined ? [] : [single]), ...(several ?? [])];
  return all.length === 0 ? undefined : all.map((ref) => ({ ...ref, kind: ref.kind ?? '', name: ref.name ?? '' }));
}

function keptAnnotations(value: unknown): Readonly<Record<string, string>> | undefined {
  if (!isRecord(value)) return undefined;
  const kept = Object.entries(value)
    .map(([key, text]) => [key, text === null ? '' : text] as const)
    .filter(([key, text]) => typeof text === 'string' && KEPT_ANNOTATIONS.some((prefix) => key.startsWith(prefix)));
  return kept.length === 0 ? undefined : (Object.fromEntries(kept) as Readonly<Record<string, string>>);
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function optional<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V };
}
