/*
 * The Pod Security level of a namespace against the containers of the injection.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-admission/
 */
import { REDIRECT_CONTAINER } from '../api/kube/agent-contract.ts';
import type { Finding } from '../errors.ts';
import { type Raw, stringOf } from './raw-json.ts';
import type { InjectionSettings } from './settings.ts';

/** Label of a namespace with the level that the API server enforces. */
const ENFORCE_LABEL = 'pod-security.kubernetes.io/enforce';
/** Levels that allow no container with NET_ADMIN. */
const LEVELS: readonly string[] = ['baseline', 'restricted'];

/**
 * An error where the API server would refuse the pod after the injection, naming the container and not what to do about it. A pod with a
 * runtime class is only warned of, because an operator may exempt it.
 *
 * @param labels of the namespace; undefined: not known
 */
export function findPodSecurity(labels: Raw | undefined, spec: Raw, { captureMode = 'pod' }: InjectionSettings): readonly Finding[] {
  const level = stringOf(labels?.[ENFORCE_LABEL]) ?? '';
  if (captureMode === 'node' || !LEVELS.includes(level)) return [];
  return [
    {
      code: 'SP_POD_SECURITY',
      severity: spec['runtimeClassName'] === undefined ? 'error' : 'warning',
      path: 'spec',
      message: `the namespace enforces the Pod Security level "${level}", which refuses the init container ${REDIRECT_CONTAINER} with NET_ADMIN`,
      hint: `redirect connections without it: install with capture.mode=node, or inject with --capture-mode node; or label the namespace ${ENFORCE_LABEL}=privileged`,
    },
  ];
}
