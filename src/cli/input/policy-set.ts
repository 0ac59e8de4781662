/*
 * Policies to ask, from a folder or from a published bundle. In: paths or a bundle file, and key sets for rules whose keys are
 * behind URLs. Out: programs by workload, with where each rule is written. Called by explain, test and diff.
 */

import { parseAllDocuments } from 'yaml';
import type { JwtRule, Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey, type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../api/kube/names.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Bundle, KeySet } from '../../bundle/bundle.ts';
import { canonicalJson } from '../../bundle/canonical-json.ts';
import { decodeBundle } from '../../bundle/decode.ts';
import { digestOf } from '../../bundle/encode.ts';
import { compileWorkload } from '../../compile/compile-workload.ts';
import type { Enforced } from '../../explain/explain-request.ts';
import type { RuleRef } from '../../explain/explanation.ts';
import { parseJwks } from '../../jwt/parse-jwks.ts';
import { type Labels, whyNotApplied } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { type CommandContext, CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_USAGE } from '../exit-codes.ts';
import type { ReportedFinding } from '../output/findings.ts';
import { parseJsonText } from './har.ts';
import type { Locate } from './locate-field.ts';
import { createOfflineClusterState, type OfflineClusterState, policyObjectKey } from './offline-cluster-state.ts';
import type { ReadManifests } from './read-manifests.ts';
import { readRequired } from './request-flags.ts';
import { podPortOf, type ServicePort } from './service-ports.ts';

/** Keys for a rule that has none inline; undefined: not known. */
export type KeySetOf = (rule: JwtRule) => KeySet | undefined;

export interface Target extends Enforced {
  /** `namespace/name`. */
  readonly workload: string;
  /** Of the pod that was chosen; from a bundle only those labels that it was chosen by. */
  readonly labels: Labels;
  /** What is to be known of this choice, e.g. that pods of the workload differ. */
  readonly caveats: readonly string[];
}

/** A policy that does nothing for a workload. */
export interface NotApplied {
  /** `Kind namespace/name`. */
  readonly policy: string;
  /** `file:line`. */
  readonly where: string;
  /** One sentence. */
  readonly reason: string;
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
  /** Policies that do nothing for the target, those that were most probably meant for it first; empty for a bundle. */
  readonly notApplied: (target: Target) => readonly NotApplied[];
  /** Where a port that a client dials leads to through a Service; undefined: no Service is known for it. */
  readonly servicePort: (target: Target, host: string, port: number) => ServicePort | undefined;
  /** `file:line` of a rule; undefined: not known. */
  readonly locate: (rule: RuleRef) => string | undefined;
}

/** The policies and workloads of manifests. */
export function policySetOf(manifests: ReadManifests, mesh: MeshConfig, keySetOf: KeySetOf): PolicySet {
  const offline = createOfflineClusterState(manifests, mesh);
  const { clusterState } = offline;
  const { selection } = clusterState;
  return {
    workloads: [...selection.workloads()].toSorted(),
    policies: [...clusterState.policies.values()].flatMap(({ active }) => active ?? []),
    findings: offline.findings,
    target(workload, labels) {
      const ref = parseWorkloadKey(workload);
      const labelSets = labels === undefined ? selection.labelSetsOf(workload) : [labels];
      if (labelSets.length === 0) throw unknownWorkload(workload, [...selection.workloads()]);
      const policiesFor = (own: Labels): readonly Policy[] => [...selection.policiesFor(ref.namespace, own).values()];
      const { bundle } = compileWorkload({ workload: ref, labelSets, policiesFor, mesh, keySetOf });
      const target = chooseTarget(bundle, labels);
      const isChosen = (own: Labels): boolean => bundle.relevantLabels.every((key) => own[key] === target.labels[key]);
      return { ...target, labels: labelSets.find(isChosen) ?? target.labels };
    },
    notApplied: ({ workload, labels }) => notAppliedTo({ namespace: parseWorkloadKey(workload).namespace, labels }, offline, mesh),
    servicePort: ({ workload, labels }, host, port) =>
      podPortOf(manifests.objects, { namespace: parseWorkloadKey(workload).namespace, labels, host, port }),
    locate: ruleLocator(offline.policies, manifests.locate),
  };
}

/** Is the JSON in `text` a bundle, and no manifest or List of them as kubectl prints it? @throws CommandFault when it is no JSON */
export function isBundleText(text: string, file: string): boolean {
  const value = parseJsonText(text, file);
  return isObject(value) && (typeof value['apiVersion'] !== 'string' || value['kind'] === 'ConfigMap');
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
    notApplied: () => [],
    servicePort: () => undefined,
    locate: () => undefined,
  };
}

type Pod = Parameters<typeof whyNotApplied>[1];

function notAppliedTo(pod: Pod, offline: OfflineClusterState, { rootNamespace }: MeshConfig): readonly NotApplied[] {
  const active = new Map([...offline.clusterState.policies.values()].map((entry) => [entry.key, entry.active]));
  return offline.policies
    .flatMap((item): readonly (NotApplied & { readonly distance: number })[] => {
      const { object, origin } = item;
      const namespace = object.metadata.namespace ?? 'default';
      const policy = active.get(policyObjectKey(item));
      const reason = policy === undefined ? 'it is refused, see its findings' : whyNotApplied(policy, pod, rootNamespace);
      if (reason === undefined) return [];
      const distance = policy === undefined ? 0 : namespace === pod.namespace ? 1 : 2;
      return [{ policy: `${object.kind} ${namespace}/${object.metadata.name}`, where: `${origin.file}:${origin.line}`, reason, distance }];
    })
    .toSorted((one, other) => one.distance - other.distance)
    .map(({ policy, where, reason }) => ({ policy, where, reason }));
}

/** A workload as one names it on the command line. @throws CommandFault unless it is `namespace/name` */
export function checkWorkloadName(text: string): WorkloadRef {
  if (!/^[^/\s]+\/[^/\s]+$/.test(text)) throw new CommandFault(EXIT_USAGE, `a workload is named namespace/name, not ${text}`);
  return parseWorkloadKey(text);
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
  if (program === undefined) {
    const known = bundle.variants.map(
      (variant) =>
        Object.entries(variant.labels)
          .map((pair) => pair.join('='))
          .join(',') || 'no labels',
    );
    throw new CommandFault(EXIT_BAD_DATA, `the bundle of ${workload} has no program for these labels; it has ${known.join(' and ')}`);
  }
  const shown = Object.entries(fitting[0]?.labels ?? {}).map((pair) => pair.join('='));
  const differ = new Set(fitting.map((variant) => variant.program)).size > 1;
  const caveats = differ ? [`pods of ${workload} differ; these are the ones with ${shown.join(',')}; choose with --labels`] : [];
  return { program, keySets: bundle.keySets, workload, labels: fitting[0]?.labels ?? {}, caveats };
}

function unknownWorkload(workload: string, known: readonly string[]): CommandFault {
  const list = known.length === 0 ? 'none' : known.toSorted().join(', ');
  return new CommandFault(EXIT_BAD_DATA, `no workload ${workload}; known: ${list}; with labels no manifest is needed`);
}

/** Looks up where rules stand; policies are found by name, for there may be thousands. */
function ruleLocator(policies: readonly ManifestObject[], locate: Locate): PolicySet['locate'] {
  const itemByName = new Map(
    policies.map((item) => [`${item.object.kind} ${item.object.metadata.namespace ?? 'default'}/${item.object.metadata.name}`, item]),
  );
  return ({ kind, policy, rule }) => {
    const item = itemByName.get(`${kind} ${policy}`);
    if (item === undefined) return undefined;
    const list = kind === 'RequestAuthentication' ? 'jwtRules' : 'rules';
    return `${item.origin.file}:${locate(item, `spec.${list}[${rule}]`).line}`;
  };
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
