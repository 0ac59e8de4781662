/*
 * Chooses the program of a bundle that applies to this pod.
 */
import type { Bundle } from '../../bundle/bundle.ts';
import type { Program } from '../../policy/model/program.ts';

/**
 * The program of the variant whose labels equal the pod's; only the bundle's relevant labels are compared. Undefined: the bundle has no
 * program for these labels (yet).
 * @param labels undefined: unknown, which is enough if the bundle has one variant
 */
export function chooseProgram(bundle: Bundle, labels: Readonly<Record<string, string>> | undefined): Program | undefined {
  const [only] = bundle.variants;
  if (labels === undefined) return bundle.variants.length === 1 && only !== undefined ? bundle.programs[only.program] : undefined;
  const variant = bundle.variants.find((candidate) =>
    bundle.relevantLabels.every((key) => ownValue(candidate.labels, key) === ownValue(labels, key)),
  );
  return variant === undefined ? undefined : bundle.programs[variant.program];
}

function ownValue(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
