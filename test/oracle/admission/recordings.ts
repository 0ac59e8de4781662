/*
 * Reads resources that Istio has validated before from recorded cases, and compares the record with the result of Istio's code
 * here, before either is trusted.
 */
import { errorBlock } from '../../../src/api/istio/validation-finding.ts';
import { type RecordedRejection, readCases } from '../../conformance/case-file.ts';
import type { OddObject } from './generate.ts';
import type { Admission } from './program.ts';

/** One resource of a recorded case. */
export interface Recording {
  readonly object: OddObject;
  /** Name of the case. */
  readonly file: string;
  readonly rejected: readonly RecordedRejection[];
  /** Warnings of the webhook as one string. */
  readonly warning?: string;
}

/** The resources of all cases below `folders`. @throws Error that names a directory or a file without cases */
export function readRecordings(folders: readonly string[]): readonly Recording[] {
  return folders.flatMap(readCases).flatMap(({ file, resources, istio }) =>
    resources.map((resource): Recording => {
      const id = `${resource.kind}/${resource.metadata.namespace}/${resource.metadata.name}`;
      const warning = istio.warnings?.find((entry) => entry.resource === id)?.error;
      return {
        object: resource as unknown as OddObject,
        file,
        rejected: (istio.rejected ?? []).filter((entry) => entry.resource === id),
        ...(warning === undefined ? {} : { warning }),
      };
    }),
  );
}

/** Differences between the record of `recording` and `answer`; empty if they agree. */
export function disagreements({ rejected, warning }: Recording, answer: Admission): readonly string[] {
  const { crd, pruned } = answer;
  const decode = /^error decoding configuration: (.*)$/s.exec(pruned.message ?? '')?.[1];
  const webhook = decode === undefined && !pruned.allowed ? (pruned.message ?? '').replace('configuration is invalid: ', '') : undefined;
  const [first] = pruned.warnings ?? [];
  const warnings = first === undefined || pruned.warnings?.length === 1 ? first : errorBlock(pruned.warnings ?? []);
  const stages = new Map(rejected.map(({ stage, error }) => [stage, error]));
  // The record has all errors of the CRD in one string, in brackets if there are several.
  const ofCrd = stages.get('crd');
  const isCrdAlike =
    (crd ?? []).length > 0 === (ofCrd !== undefined) && (crd ?? []).every((text) => ofCrd?.includes(asRecorded(text)) === true);
  return [
    ...(isCrdAlike ? [] : [`crd: recorded ${ofCrd ?? 'nothing'}, now ${crd?.join('; ') ?? 'nothing'}`]),
    ...differing('decode', stages.get('decode'), decode),
    ...differing('webhook', stages.get('webhook'), webhook),
    ...(rejected.length > 0 ? [] : differing('warnings', warning, warnings)),
  ];
}

/** The recording parsed every number as a float; the API server distinguishes integers. */
function asRecorded(text: string): string {
  return text.replaceAll('"integer"', '"number"');
}

function differing(what: string, recorded: string | undefined, now: string | undefined): readonly string[] {
  return recorded === now ? [] : [`${what}: recorded ${recorded ?? 'nothing'}, now ${now ?? 'nothing'}`];
}
