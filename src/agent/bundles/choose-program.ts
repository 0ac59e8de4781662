/*
 * Chooses the program of a bundle that applies to this pod, by its labels. The index of the namespace says whether the bundle was made for
 * such labels at all.
 */
import type { Bundle, Variant } from '../../bundle/bundle.ts';
import { isSelected, type LabelIndex, type Selector } from '../../bundle/label-index.ts';
import type { Program } from '../../policy/model/program.ts';

/** The program for this pod, or why the bundle has no program for it. */
export type Choice =
  | { readonly kind: 'program'; readonly program: Program }
  /** The bundle has no program for these labels. Without an index it is not known whether a policy distinguishes them. */
  | { readonly kind: 'none' }
  /** A selector distinguishes these labels from all for which the bundle has a program. */
  | { readonly kind: 'unmatched'; readonly selector: Selector };

/**
 * The program of the variant whose labels equal the pod's in all relevant keys. With an index, the labels must not be those of a selector
 * that the bundle does not know; and a value that no selector names stands for any other that none names.
 * @param labels undefined: unknown, which is enough if the bundle has one variant
 */
export function chooseProgram(bundle: Bundle, labels: Selector | undefined, index: LabelIndex | undefined): Choice {
  const [only] = bundle.variants;
  if (labels === undefined) return bundle.variants.length === 1 && only !== undefined ? programOf(bundle, only) : { kind: 'none' };
  const relevant = new Set(bundle.relevantLabels);
  const isKnown = (selector: Selector): boolean => Object.keys(selector).every((key) => relevant.has(key));
  // Of a selector that selected a pod of the workload when the bundle was made, all labels are relevant.
  const unknown = index?.selectors.find((selector) => isSelected(selector, labels) && !isKnown(selector));
  if (unknown !== undefined) return { kind: 'unmatched', selector: unknown };
  const exact = bundle.variants.find((variant) =>
    bundle.relevantLabels.every((key) => ownValue(variant.labels, key) === ownValue(labels, key)),
  );
  if (exact !== undefined) return programOf(bundle, exact);
  return index === undefined ? { kind: 'none' } : chooseAlike(bundle, labels, index.selectors.filter(isKnown));
}

/** The program of a variant that the same selectors select; all such variants must have one program. */
function chooseAlike(bundle: Bundle, labels: Selector, selectors: readonly Selector[]): Choice {
  const alike = bundle.variants.filter((variant) =>
    selectors.every((selector) => isSelected(selector, variant.labels) === isSelected(selector, labels)),
  );
  const [first] = alike;
  // Programs that differ show that the index lacks a selector of the bundle, so that it cannot distinguish these labels from others.
  if (first !== undefined && alike.every(({ program }) => program === first.program)) return programOf(bundle, first);
  return { kind: 'unmatched', selector: selectors.find((selector) => isSelected(selector, labels)) ?? {} };
}

function programOf(bundle: Bundle, variant: Variant): Choice {
  const program = bundle.programs[variant.program];
  return program === undefined ? { kind: 'none' } : { kind: 'program', program };
}

function ownValue(labels: Selector, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
