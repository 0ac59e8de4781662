/*
 * What is known about mutants that no test can or need notice: `classification.json`.
 */
import { readFileSync } from 'node:fs';

/**
 * equivalent: no caller sees a difference. cost only: it decides and answers the same with more or less work. log text: what people
 * read changes.
 */
export const KINDS = ['equivalent', 'cost only', 'log text'] as const;
/** One of {@link KINDS}. */
export type Kind = (typeof KINDS)[number];

/** Left out of the rate: a test of behaviour cannot notice them. */
export const UNCOUNTED: readonly Kind[] = ['equivalent', 'cost only'];

/** Why a mutant may survive. */
export interface Classified {
  readonly id: string;
  /** Where it is and what it changes, for readers: the id alone counts. */
  readonly mutant: string;
  readonly kind: Kind;
  readonly reason: string;
}

/** The classified mutants of a file by their id. */
export function readClassification(file: string): ReadonlyMap<string, Classified> {
  const entries = JSON.parse(readFileSync(file, 'utf8')) as readonly Classified[];
  return new Map(entries.map((entry) => [entry.id, entry]));
}
