/*
 * Which program of a bundle is meant for this pod. In: bundle and pod labels. Out: the program, or undefined when the
 * bundle has none for these labels (yet). Pure; used by the intake.
 */
import type { Bundle } from '../../bundle/bundle.ts';
import type { Program } from '../../policy/model/program.ts';

/**
 * The program of the variant whose labels equal the pod's, looking at the bundle's relevant labels only.
 * @param labels undefined: unknown, which is fine as long as the bundle has one variant
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
