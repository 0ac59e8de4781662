/*
 * Injects an agent into a Pod on admission. The workload gets the name that the controller later computes for the pod.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import { MIRROR_ANNOTATION } from '../api/kube/pod-traits.ts';
import { projectPod } from '../api/kube/slim.ts';
import { workloadIdOf } from '../api/kube/workload.ts';
import { isRawObject, type RawObject } from '../cluster/kube-object.ts';
import type { Finding } from '../errors.ts';
import { injectPodTemplate } from '../inject/inject-pod.ts';
import { isSame } from '../inject/raw-json.ts';
import type { InjectedTrust, InjectionSettings } from '../inject/settings.ts';
import type { AdmissionRequest, AdmissionResponse, PatchStep } from './admission.ts';

/** Group of kubelets. */
const NODES = 'system:nodes';

/** Policies of the root namespace that select a pod of `namespace` with these labels, as `namespace/name`. */
export type RootPolicies = (namespace: string, labels: Readonly<Record<string, string>>) => readonly string[];

/** What a new agent of a workload trusts; undefined: the signing keys are not known. */
export type TrustSource = (workload: WorkloadRef) => InjectedTrust | undefined;

/** What the review of pods reads. */
export interface PodReview {
  readonly settings: Omit<InjectionSettings, 'trust'>;
  readonly rootPoliciesFor: RootPolicies;
  readonly trustFor: TrustSource;
  /** Labels of a namespace; undefined: not known. */
  readonly namespaceLabelsOf: (name: string) => Readonly<Record<string, string>> | undefined;
}

/** Responds with the patch that injects an agent, or denies the pod. Everything other than the creation of a Pod is allowed unchanged. */
export function reviewPod(
  request: AdmissionRequest,
  { settings, rootPoliciesFor, trustFor, namespaceLabelsOf }: PodReview,
): AdmissionResponse {
  const { object } = request;
  if (object === undefined || object.kind !== 'Pod' || request.operation !== 'CREATE') return { allowed: true };
  const slim = projectPod(object);
  // Only kubelets create mirror pods; anyone else would set the annotation to avoid the agent.
  if (slim.obstacle === 'static-pod' && !request.groups.includes(NODES)) {
    return { allowed: false, message: `the annotation ${MIRROR_ANNOTATION} is reserved for kubelets` };
  }
  const workload = workloadIdOf(slim);
  const trust = trustFor({ namespace: request.namespace, ...workload });
  const namespaceLabels = namespaceLabelsOf(request.namespace);
  const { pod, findings } = injectPodTemplate(object, {
    workload,
    settings: { ...settings, trust: trust ?? { anchor: '', floor: 0 } },
    rootPolicies: rootPoliciesFor(request.namespace, slim.labels),
    ...(namespaceLabels === undefined ? {} : { namespaceLabels }),
  });
  if (trust === undefined && pod !== object) return { allowed: false, message: NO_KEYS };
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (errors.length > 0) return { allowed: false, message: `no agent can be injected: ${errors.map(describeFinding).join('; ')}` };
  return { allowed: true, patch: patchBetween(object, pod), warnings: findings.map((finding) => `sallyport: ${describeFinding(finding)}`) };
}

const NO_KEYS = 'no agent can be injected: the signing keys are missing, see the status of the policies and `sallyport keys restore`';

/** JSON Patch from `before` to `after`: whole fields of `metadata` and `spec`, because injection changes nothing else. */
export function patchBetween(before: RawObject, after: RawObject): readonly PatchStep[] {
  const steps: PatchStep[] = [];
  for (const part of ['metadata', 'spec']) {
    const [old, fresh] = [fieldsOf(before[part]), fieldsOf(after[part])];
    if (before[part] === undefined && after[part] !== undefined) {
      steps.push({ op: 'add', path: `/${part}`, value: fresh });
      continue;
    }
    for (const [field, value] of Object.entries(fresh)) {
      // For a member of an object, `add` replaces an existing value.
      if (!(field in old) || !isSame(old[field], value)) steps.push({ op: 'add', path: `/${part}/${escapePointer(field)}`, value });
    }
    for (const field of Object.keys(old)) {
      if (!(field in fresh)) steps.push({ op: 'remove', path: `/${part}/${escapePointer(field)}` });
    }
  }
  return steps;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRawObject(value) ? value : {};
}

/** @see RFC 6901 section 3 */
function escapePointer(field: string): string {
  return field.replaceAll('~', '~0').replaceAll('/', '~1');
}

function describeFinding(finding: Finding): string {
  const hint = finding.hint === undefined ? '' : ` (${finding.hint})`;
  return `${finding.path}: ${finding.message}${hint}`;
}
