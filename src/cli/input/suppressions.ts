/*
 * Findings that the user does not want to see: by the flag --suppress, or by Istio's annotation on the object.
 * @see istio pkg/config/analysis/msg, `galley.istio.io/analyze-suppress`
 */
import { InvalidArgumentError } from 'commander';
import { nearestName } from '../../api/nearest-name.ts';
import { ERROR_CODES } from '../../errors.ts';
import { matchesGlob } from '../../policy/match/glob.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import type { LocatedFinding } from './located-finding.ts';

/** Which findings to leave out. */
export interface Suppression {
  /** `*`: every code. */
  readonly code: string;
  /** `Kind namespace/name`, in which `*` stands for any characters. */
  readonly object: string;
  /** Whether errors are left out too. */
  readonly errors: boolean;
}

/** As in Istio: a comma-separated list of codes, or `*`. */
const ANNOTATION = 'galley.istio.io/analyze-suppress';

/** A parser for option values of the form `CODE=kind/namespace/name`. */
export function parseSuppression(text: string, before: readonly Suppression[]): readonly Suppression[] {
  const match = /^(\w+|\*)=([^/ ]+)[/ ]([^/]+)\/([^/]+)$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError('Expected CODE=kind/namespace/name, e.g. SP_UNREACHABLE_RULE=AuthorizationPolicy/foo/allow.');
  const [, code = '', kind = '', namespace = '', name = ''] = match;
  if (code !== '*' && !Object.hasOwn(ERROR_CODES, code)) {
    const intended = nearestName(code, Object.keys(ERROR_CODES));
    throw new InvalidArgumentError(`Unknown code ${code}${intended === undefined ? '' : `; did you mean ${intended}?`}`);
  }
  return [...before, { code, object: `${kind} ${namespace}/${name}`, errors: true }];
}

/** What the annotations of the objects suppress. Errors remain with `*`, which users of Istio wrote about Istio's findings. */
export function suppressionsOf(objects: readonly ManifestObject[]): readonly Suppression[] {
  return objects.flatMap(({ object: { kind, metadata } }) => {
    const annotations = metadata['annotations'] as Readonly<Record<string, unknown>> | null | undefined;
    const codes = annotations?.[ANNOTATION];
    if (typeof codes !== 'string') return [];
    const object = `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`;
    return codes.split(',').map((code): Suppression => ({ code: code.trim(), object, errors: code.trim() !== '*' }));
  });
}

/** The findings that no suppression matches, and the number of the others. */
export function applySuppressions(
  findings: readonly LocatedFinding[],
  suppressions: readonly Suppression[],
): { readonly findings: readonly LocatedFinding[]; readonly suppressed: number } {
  if (suppressions.length === 0) return { findings, suppressed: 0 };
  const tests = suppressions.map(({ code, object, errors }) => {
    return (finding: LocatedFinding): boolean =>
      (code === '*' || code === finding.code) && (errors || finding.severity !== 'error') && matchesGlob(object, finding.object);
  });
  const shown = findings.filter((finding) => !tests.some((test) => test(finding)));
  return { findings: shown, suppressed: findings.length - shown.length };
}
