/*
 * Phrases that the messages of several conditions share.
 */
import type { Finding } from '../errors.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';

/** At most this many names are listed. */
const NAMED = 3;

/** The first few names, and the number of the others. */
export function listNames(names: readonly string[], separator = ', '): string {
  const shown = names.slice(0, NAMED).join(separator);
  return names.length <= NAMED ? shown : `${shown}${separator}and ${names.length - NAMED} more`;
}

/** Joins sentences without their final period; empty ones are left out. */
export function sentences(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('. ');
}

/** Why a policy is over its budget, and what is enforced in its place. */
export function describeRefusal({ message, hint }: Finding): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${hint === undefined ? '' : ` (${hint})`}`;
}

/** Which version of an invalid policy is active. */
export function describeActive(entry: PolicyEntry): string {
  if (entry.refusal !== undefined) return describeRefusal(entry.refusal);
  if (entry.active === undefined) return 'No version of this policy is active';
  if (entry.active === entry.lastGood) return `Generation ${entry.active.metadata.generation ?? 0} remains active`;
  return 'The readable part of it is active; values that cannot be honoured can only deny more requests';
}
