/*
 * Injection on admission. In: the review of a Pod that is being created. Out: a JSON Patch that puts an agent in, or a
 * refusal with the reason. The workload gets the name that the controller will compute for the pod. Called by the server.
 */
import { projectPod } from '../api/kube/slim.ts';
import { workloadNameOf } from '../api/kube/workload.ts';
import { isRawObject, type RawObject } from '../cluster/kube-object.ts';
import type { Finding } from '../errors.ts';
import { injectPodTemplate } from '../inject/inject-pod.ts';
import { isSame } from '../inject/raw-json.ts';
import type { InjectionSettings } from '../inject/settings.ts';
import type { AdmissionAnswer, AdmissionRequest, PatchStep } from './admission.ts';

/** Anything but the creation of a Pod is allowed as it is. */
export function reviewPod(request: AdmissionRequest, settings: InjectionSettings): AdmissionAnswer {
  const { object } = request;
  if (object === undefined || object.kind !== 'Pod' || request.operation !== 'CREATE') return { allowed: true };
  const { pod, findings } = injectPodTemplate(object, { workloadName: workloadNameOf(projectPod(object)), settings });
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (errors.length > 0) return { allowed: false, message: `no agent can be injected: ${errors.map(describeFinding).join('; ')}` };
  return { allowed: true, patch: patchBetween(object, pod), warnings: findings.map((finding) => `sallyport: ${describeFinding(finding)}`) };
}

/** Steps that turn `before` into `after`: whole fields of `metadata` and `spec`, since injection changes nothing else. */
export function patchBetween(before: RawObject, after: RawObject): readonly PatchStep[] {
  const steps: PatchStep[] = [];
  for (const part of ['metadata', 'spec']) {
    const [old, fresh] = [fieldsOf(before[part]), fieldsOf(after[part])];
    if (before[part] === undefined && after[part] !== undefined) {
      steps.push({ op: 'add', path: `/${part}`, value: fresh });
      continue;
    }
    for (const [field, value] of Object.entries(fresh)) {
      // On a member of an object, `add` replaces what is there.
      if (!(field in old) || !isSame(old[field], value)) steps.push({ op: 'add', path: `/${part}/${escaped(field)}`, value });
    }
    for (const field of Object.keys(old)) {
      if (!(field in fresh)) steps.push({ op: 'remove', path: `/${part}/${escaped(field)}` });
    }
  }
  return steps;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRawObject(value) ? value : {};
}

/** @see RFC 6901 section 3 */
function escaped(field: string): string {
  return field.replaceAll('~', '~0').replaceAll('/', '~1');
}

function describeFinding(finding: Finding): string {
  const hint = finding.hint === undefined ? '' : ` (${finding.hint})`;
  return `${finding.path}: ${finding.message}${hint}`;
}
