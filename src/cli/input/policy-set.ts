/*
 * Policies to ask, from a folder or from a published bundle. In: paths or a bundle file, and key sets for rules whose keys are
 * behind URLs. Out: programs by workload, with where each rule is written. Called by explain, test and diff.
 */
import { parseAllDocuments } from 'yaml';
import type { JwtRule, Policy } from '../../api/istio/resources.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../api/kube/names.ts';
import { workloadKey } from '../../api/kube/workload.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Bundle, KeySet, WorkloadRef } from '../../bundle/bundle.ts';
import { canonicalJson } from '../../bundle/canonical-json.ts';
import { decodeBundle } from '../../bundle/decode.ts';
import { digestOf } from '../../bundle/encode.ts';
import { compileWorkload } from '../../compile/compile-workload.ts';
import type { Enforced } from '../../explain/explain-request.ts';
import type { RuleRef } from '../../explain/explanation.ts';
import { parseJwks } from '../../jwt/parse-jwks.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { workloadOfKey } from '../../sources/world.ts';
import { type CommandContext, CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_USAGE } from '../exit-codes.ts';
import type { ReportedFinding } from '../output/findings.ts';
import { parseJsonText } from './har.ts';
import { locateField } from './locate-field.ts';
import { createOfflineWorld, type OfflineWorld } from './offline-world.ts';
import type { ReadManifests } from './read-manifests.ts';
import { readRequired } from './request-flags.ts';

/** Keys for a rule that has none inline; undefined: not known. */
export type KeySetOf = (rule: JwtRule) => KeySet | undefined;

export interface Target extends Enforced {
  /** `namespace/name`. */
  readonly workload: string;
  /** What is to be known of this choice, e.g. that pods of the workload differ. */
  readonly caveats: readonly string[];
}

export interface PolicySet {
  /** `namespace/name`, sorted. */
  readonly workloads: readonly string[];
  /** Every policy in force, whether it selects anything or not; undefined: not known (bundles). */
  readonly policies: readonly Policy[] | undefined;
  /** Of reading and validating; none for a bundle. */
  readonly findings: readonly ReportedFinding[];
  /**
   * What is enforced on one workload.
   * @param labels of its pod; undefined: as its manifest says
   * @throws CommandFault when the workload is not there
   */
  readonly target: (workload: string, labels: Labels | undefined) => Target;
  /** `file:line` of a rule; undefined: not known. */
  readonly locate: (rule: RuleRef) => string | undefined;
}

/** The policies and workloads of manifests. */
export function policySetOf(manifests: ReadManifests, mesh: MeshConfig, keySetOf: KeySetOf): PolicySet {
  const offline = createOfflineWorld(manifests, mesh);
  const { world } = offline;
  return {
    workloads: world.allWorkloads(undefined).map(workloadKey).toSorted(),
    policies: [...world.policies.values()].flatMap(({ inForce }) => inForce ?? []),
    findings: offline.findings,
    target(workload, labels) {
      const ref = workloadOfKey(workload);
      const labelSets = labels === undefined ? [...world.labelSetsOf(ref)] : [labels];
      if (labelSets.length === 0) throw unknownWorkload(workload, world.allWorkloads(undefined).map(workloadKey));
      const policies = world.policiesInScope(ref.namespace);
      const { bundle } = compileWorkload({ workload: ref, labelSets, policies, mesh, keySetOf });
      return chooseTarget(bundle, labels);
    },
    locate: (rule) => locateRule(rule, offline, manifests),
  };
}

/** The policies in the text of a bundle: as `compile -o json` prints it, as its ConfigMap, or the bundle itself. */
export function policySetOfBundle(text: string, file: string): PolicySet {
  const { bundle } = decodeBundle(bundleFiles(text, file));
  const known = workloadKey(bundle.workload);
  return {
    workloads: [known],
    policies: undefined,
    findings: [],
    target(workload, labels) {
      if (workload !== known) throw unknownWorkload(workload, [known]);
      return chooseTarget(bundle, labels);
    },
    locate: () => undefined,
  };
}

/** A workload as one names it on the command line. @throws CommandFault unless it is `namespace/name` */
export function checkWorkloadName(text: string): WorkloadRef {
  if (!/^[^/\s]+\/[^/\s]+$/.test(text)) throw new CommandFault(EXIT_USAGE, `a workload is named namespace/name, not ${text}`);
  return workloadOfKey(text);
}

/** Labels of `k=v,k2=v2`. @throws CommandFault */
export function parseLabels(text: string): Labels {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 1) throw new CommandFault(EXIT_USAGE, `labels are written key=value,key=value, not ${text}`);
      return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
    }),
  );
}

/**
 * Key sets from files.
 * @param given each `FILE`, for every rule without inline keys, or `ISSUER=FILE`, for the rules of one issuer
 * @throws CommandFault when a file holds no usable key
 */
export async function readKeySets(given: readonly string[], context: CommandContext): Promise<KeySetOf> {
  const byIssuer = new Map<string | undefined, KeySet>();
  for (const text of given) {
    const equals = text.lastIndexOf('=');
    const file = text.slice(equals + 1);
    const { keys, problems } = parseJwks(await readRequired(file, context));
    if (keys.length === 0)
      throw new CommandFault(EXIT_BAD_DATA, `${file}: no usable key${problems.length === 0 ? '' : `: ${problems.join('; ')}`}`);
    byIssuer.set(equals === -1 ? undefined : text.slice(0, equals), { source: file, keys });
  }
  return (rule) => byIssuer.get(rule.issuer ?? '') ?? byIssuer.get(undefined);
}

function chooseTarget(bundle: Bundle, labels: Labels | undefined): Target {
  const fitting = bundle.variants.filter(
    (variant) => labels === undefined || bundle.relevantLabels.every((key) => variant.labels[key] === labels[key]),
  );
  const program = bundle.programs[fitting[0]?.program ?? -1];
  const workload = workloadKey(bundle.workload);
  if (program === undefined) throw new CommandFault(EXIT_BAD_DATA, `the bundle of ${workload} has no program for these labels`);
  const shown = Object.entries(fitting[0]?.labels ?? {}).map((pair) => pair.join('='));
  const differ = new Set(fitting.map((variant) => variant.program)).size > 1;
  const caveats = differ ? [`pods of ${workload} differ; these are the ones with ${shown.join(',')}; choose with --labels`] : [];
  return { program, keySets: bundle.keySets, workload, caveats };
}

function unknownWorkload(workload: string, known: readonly string[]): CommandFault {
  const list = known.length === 0 ? 'none' : known.toSorted().join(', ');
  return new CommandFault(EXIT_BAD_DATA, `no workload ${workload}; known: ${list}; with labels no manifest is needed`);
}

function locateRule(rule: RuleRef, offline: OfflineWorld, manifests: ReadManifests): string | undefined {
  const item = offline.policies.find(
    ({ object: { kind, metadata } }) => kind === rule.kind && `${metadata.namespace ?? 'default'}/${metadata.name}` === rule.policy,
  );
  const text = item === undefined ? undefined : manifests.textByFile.get(item.origin.file);
  if (item === undefined || text === undefined) return undefined;
  const list = rule.kind === 'RequestAuthentication' ? 'jwtRules' : 'rules';
  return `${item.origin.file}:${locateField(text, item, `spec.${list}[${rule.rule}]`).line}`;
}

function bundleFiles(text: string, file: string): Record<string, Uint8Array> {
  const value = text.trimStart().startsWith('{') ? parseJsonText(text, file) : firstDocument(text);
  if (!isObject(value)) throw new CommandFault(EXIT_BAD_DATA, `${file}: no bundle`);
  if (value['kind'] === 'ConfigMap') {
    const plain = Object.entries(isObject(value['data']) ? value['data'] : {}).map(
      ([key, part]) => [key, Buffer.from(String(part))] as const,
    );
    const packed = Object.entries(isObject(value['binaryData']) ? value['binaryData'] : {});
    return Object.fromEntries([...plain, ...packed.map(([key, part]) => [key, Buffer.from(String(part), 'base64')] as const)]);
  }
  const json = canonicalJson(isObject(value['bundle']) ? value['bundle'] : value);
  return { [BUNDLE_KEY]: Buffer.from(json), [BUNDLE_DIGEST_KEY]: Buffer.from(digestOf(json)) };
}

function firstDocument(text: string): unknown {
  const documents = parseAllDocuments(text);
  return Array.isArray(documents) && documents[0]?.errors.length === 0 ? documents[0].toJS() : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
