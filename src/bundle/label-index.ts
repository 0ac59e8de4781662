/*
 * The index of a namespace: the label selectors of all policies that can apply to its pods. With it an agent knows, without asking, whether a
 * policy that its bundle lacks selects the labels that its pod has now.
 */
import * as z from 'zod/mini';
import { RefusedError } from '../errors.ts';
import { canonicalJson } from './canonical-json.ts';

/** Labels that a pod must have. */
export type Selector = Readonly<Record<string, string>>;

/** The selectors of one namespace. */
export interface LabelIndex {
  readonly namespace: string;
  /** Sorted, each once, without the empty one, which selects every pod. */
  readonly selectors: readonly Selector[];
}

/** Largest index in bytes: ten thousand selectors. */
export const MAX_INDEX_BYTES: number = 1024 * 1024;

const schema: z.ZodMiniType<LabelIndex> = z.strictObject({ namespace: z.string(), selectors: z.array(z.record(z.string(), z.string())) });

/** The canonical text of an index; equal indexes give equal texts. */
export function formatLabelIndex(index: LabelIndex): string {
  return canonicalJson(index);
}

/** Parses what {@link formatLabelIndex} wrote. @throws RefusedError SP_BUNDLE_SCHEMA */
export function parseLabelIndex(json: string): LabelIndex {
  const result = schema.safeParse(jsonOf(json));
  if (!result.success) throw new RefusedError('SP_BUNDLE_SCHEMA', 'the index of the namespace has an unknown form');
  return result.data;
}

/** Whether `labels` has every pair of `selector`. */
export function isSelected(selector: Selector, labels: Selector): boolean {
  return Object.entries(selector).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
