/*
 * Replays recorded cases through a way in and counts what is equal. In: cases. Out: a report with every difference. Used
 * by the command `npm run conformance` and by the test suites.
 */
import { buildCase, resourceName } from './build-case.ts';
import type { RecordedCase, RecordedRequest } from './case-file.ts';
import { compareOutcome, type FieldDifference } from './compare.ts';
import { documentedName } from './differences.ts';
import type { WayIn } from './way-in.ts';

export interface FoundDifference extends FieldDifference {
  readonly file: string;
  /** Name of the request, or of the resource for a difference of admission. */
  readonly item: string;
  /** Absent: nobody has explained it. */
  readonly documented?: string;
}

export interface ReplayReport {
  readonly cases: number;
  readonly resources: number;
  readonly requests: number;
  /** Requests and resources without any difference. */
  readonly equal: number;
  /** Requests not put: Envoy refused the configuration, so that there is no record, or the way in cannot put them. */
  readonly leftOut: number;
  readonly differences: readonly FoundDifference[];
}

/** Replays `cases` one after the other. */
export async function replay(cases: readonly RecordedCase[], way: WayIn): Promise<ReplayReport> {
  const differences: FoundDifference[] = [];
  let resources = 0;
  let requests = 0;
  let equal = 0;
  let leftOut = 0;
  for (const recorded of cases) {
    const built = buildCase(recorded);
    const admission = admissionDifferences(recorded, built.refused);
    resources += recorded.resources.length;
    equal += recorded.resources.length - new Set(admission.map(({ item }) => item)).size;
    differences.push(...admission);
    const open = await way.open(recorded, built);
    try {
      for (const request of recorded.requests) {
        if (request.observed === undefined || !way.takes(request, recorded)) {
          leftOut += 1;
          continue;
        }
        requests += 1;
        const found = compareOutcome(request.observed, await open.send(request));
        equal += found.length === 0 ? 1 : 0;
        differences.push(...found.map((difference) => named(recorded, request, request.name, difference)));
      }
    } finally {
      await open.close();
    }
  }
  return { cases: cases.length, resources, requests, equal, leftOut, differences };
}

function named(recorded: RecordedCase, request: RecordedRequest | undefined, item: string, difference: FieldDifference): FoundDifference {
  const documented = documentedName(recorded, request, difference);
  return { ...difference, file: recorded.file, item, ...(documented === undefined ? {} : { documented }) };
}

/** Every resource must be refused at the very stages that refused it in the record. */
function admissionDifferences(recorded: RecordedCase, refused: ReadonlyMap<string, readonly string[]>): readonly FoundDifference[] {
  return recorded.resources.flatMap((resource) => {
    const item = resourceName(resource);
    const rejections = (recorded.istio.rejected ?? []).filter((rejection) => rejection.resource === item);
    const theirs = [...new Set(rejections.map(({ stage }) => stage))].sort().join('+');
    const ours = [...new Set(refused.get(item) ?? [])].sort().join('+');
    return theirs === ours ? [] : [named(recorded, undefined, item, { field: 'refused', recorded: theirs, ours })];
  });
}

/** Differences that nobody has explained. */
export function undocumented({ differences }: ReplayReport): readonly FoundDifference[] {
  return differences.filter((difference) => difference.documented === undefined);
}
