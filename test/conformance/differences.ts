/*
 * The differences from the records that are meant. In: a case, a request and a field that differs. Out: the name of the
 * documented difference it falls under. Every name here is a heading of docs/differences.md, and a test sees to that.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordedCase, RecordedRequest } from './case-file.ts';
import type { FieldDifference } from './compare.ts';

/** A difference that is meant. `covers` says which recorded differences it explains. */
export interface DocumentedDifference {
  readonly name: string;
  covers(recorded: RecordedCase, request: RecordedRequest | undefined, difference: FieldDifference): boolean;
}

const inRequest =
  (file: string, ...names: readonly string[]): DocumentedDifference['covers'] =>
  (recorded, request) =>
    recorded.file === file && request !== undefined && names.includes(request.name);

/** Each entry explains as little as it can: a whole request only where the request never is one. */
export const DOCUMENTED: readonly DocumentedDifference[] = [
  { name: 'http1-strict-syntax', covers: inRequest('authz_http1-oddities', 'obs-fold', 'lf-only') },
  {
    name: 'custom-unknown-service',
    covers: (recorded, request, { field, ours }) =>
      recorded.file === 'builder_file_custom-bad-no-such-service' &&
      request?.name === '/httpbin1' &&
      ((field === 'details' && ours === 'ext_authz_error') || field === 'body' || field === 'headers.content-type'),
  },
];

/** The name of the documented difference that `difference` is an instance of; `undefined`: it is a fault. */
export function documentedName(
  recorded: RecordedCase,
  request: RecordedRequest | undefined,
  difference: FieldDifference,
): string | undefined {
  return DOCUMENTED.find((entry) => entry.covers(recorded, request, difference))?.name;
}

/** The names that docs/differences.md explains: its second-level headings in code type. */
export function explainedNames(): ReadonlySet<string> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/differences.md'), 'utf8');
  return new Set([...page.matchAll(/^## `([a-z0-9-]+)`/gm)].map((match) => match[1] ?? ''));
}
