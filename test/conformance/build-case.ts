/*
 * Compiles the policies of a recorded case like the controller, to the program and key sets of its workload. Used by all
 * runners of the replay.
 */
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import type { JwtRule, Policy } from '../../src/api/istio/resources.ts';
import type { ValidationStage } from '../../src/api/istio/validation-finding.ts';
import type { Bundle, KeySet } from '../../src/bundle/bundle.ts';
import { compileWorkload } from '../../src/compile/compile-workload.ts';
import { keySourceOf } from '../../src/jwks/fetch-keys.ts';
import { parseJwks } from '../../src/jwt/parse-jwks.ts';
import type { Program } from '../../src/policy/model/program.ts';
import { selectFrom } from '../support/select-policies.ts';
import { refusedAt } from './admission.ts';
import type { RecordedCase, RecordedResource } from './case-file.ts';
import { meshOfCase } from './mesh-of-case.ts';

export interface BuiltCase {
  readonly bundle: Bundle;
  /** The program of the workload's pod. */
  readonly program: Program;
  /** Resources that Sallyport's admission rejects as `Kind/namespace/name`, with the rejecting stages. */
  readonly refused: ReadonlyMap<string, readonly ValidationStage[]>;
}

/** `Kind/namespace/name`, the form in which records name a resource. */
export function resourceName({ kind, metadata }: RecordedResource): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

/**
 * Admits, parses and compiles the resources of `recorded`.
 * @param isLocal the bundle is not published, so it contains the secrets of other namespaces
 * @throws Error if an admitted resource cannot be parsed
 */
export function buildCase(recorded: RecordedCase, isLocal = false): BuiltCase {
  const mesh = meshOfCase(recorded);
  const refused = new Map<string, readonly ValidationStage[]>();
  const policies: Policy[] = [];
  for (const [index, resource] of recorded.resources.entries()) {
    const stages = refusedAt(resource);
    if (stages.length > 0) {
      refused.set(resourceName(resource), stages);
    }
    if (stages.length === 0 || recorded.applyInvalid === true) {
      policies.push(readPolicy(resource, index));
    }
  }
  const { name, namespace, labels } = recorded.workload;
  const { bundle } = compileWorkload({
    workload: { namespace, kind: 'deployment', name },
    labelSets: [labels],
    policiesFor: selectFrom(policies, namespace, mesh.rootNamespace),
    mesh,
    isLocal,
    keySetOf: (rule) => servedKeys(rule, recorded.jwksServers ?? {}),
  });
  const program = bundle.programs[bundle.variants[0]?.program ?? 0];
  if (program === undefined) {
    throw new Error(`${recorded.name}: the bundle has no program`);
  }
  return { bundle, program, refused };
}

/** Resources were created in the order of the file, seconds apart; policies are evaluated in that order. */
function readPolicy(resource: RecordedResource, index: number): Policy {
  const creationTimestamp =
    resource.metadata.creationTimestamp ?? new Date(Date.UTC(2026, 0, 1, 0, 0, index)).toISOString().replace('.000', '');
  const { value, findings } = parsePolicy({ ...resource, metadata: { ...resource.metadata, creationTimestamp } });
  if (value === undefined) {
    throw new Error(`${resourceName(resource)}: ${findings.map(({ message }) => message).join('; ')}`);
  }
  return value;
}

/** Key sets that the JWKS cache would have fetched: recorded servers respond, every other URL fails. */
function servedKeys(rule: JwtRule, servers: Readonly<Record<string, string>>): KeySet | undefined {
  const source = keySourceOf(rule);
  if (source === undefined) {
    return undefined;
  }
  const document = servers[source.url];
  const uri = source.kind === 'keys' ? source.url : discoveredUri(document);
  const text = uri === undefined ? undefined : servers[uri];
  const keys = text === undefined ? [] : parseJwks(text, { symmetric: false }).keys;
  return uri === undefined || keys.length === 0 ? undefined : { source: uri, keys };
}

function discoveredUri(document: string | undefined): string | undefined {
  const uri: unknown = document === undefined ? undefined : (JSON.parse(document) as Record<string, unknown>)['jwks_uri'];
  return typeof uri === 'string' ? uri : undefined;
}
