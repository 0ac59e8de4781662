/*
 * Replays recorded cases and counts equal results: resources through admission, requests through a runner. The report lists
 * every difference. Used by `npm run conformance` and by the tests.
 */
import { type BuiltCase, buildCase, resourceName } from './build-case.ts';
import type { RecordedCase, RecordedRequest } from './case-file.ts';
import { compareOutcome, type FieldDifference } from './compare.ts';
import { documentedName } from './differences.ts';
import type { OpenCase, WayIn } from './way-in.ts';

export interface FoundDifference extends FieldDifference {
  readonly file: string;
  /** Name of the request, or of the resource if admission differs. */
  readonly item: string;
  /** Name of the documented difference; absent: it is not documented. */
  readonly documented?: string;
}

export interface ReplayReport {
  readonly cases: number;
  /** Number of replayed requests, or of resources. */
  readonly replayed: number;
  /** Number of those without a difference. */
  readonly equal: number;
  /** Number of requests that this runner does not support. */
  readonly notYet: number;
  /** Number of requests without a record, because Envoy rejected the configuration. */
  readonly unrecorded: number;
  readonly differences: readonly FoundDifference[];
}

class Tally {
  replayed = 0;
  equal = 0;
  notYet = 0;
  unrecorded = 0;
  readonly differences: FoundDifference[] = [];

  add(found: readonly FoundDifference[]): void {
    this.replayed += 1;
    this.equal += found.length === 0 ? 1 : 0;
    this.differences.push(...found);
  }

  report(cases: number): ReplayReport {
    const { replayed, equal, notYet, unrecorded, differences } = this;
    return { cases, replayed, equal, notYet, unrecorded, differences };
  }
}

/** Replays the requests of `cases` one after the other. A case that cannot be built or replayed counts as a difference. */
export async function replay(cases: readonly RecordedCase[], way: WayIn): Promise<ReplayReport> {
  const tally = new Tally();
  for (const recorded of cases) await replayCase(recorded, way, tally);
  return tally.report(cases.length);
}

async function replayCase(recorded: RecordedCase, way: WayIn, tally: Tally): Promise<void> {
  const requests = recorded.requests.filter(({ observed }) => observed !== undefined);
  tally.unrecorded += recorded.requests.length - requests.length;
  const taken = requests.filter((request) => way.takes(request, recorded));
  tally.notYet += requests.length - taken.length;
  let open: OpenCase | undefined;
  try {
    open = await way.open(recorded, buildCase(recorded));
    for (const request of taken) tally.add(await replayRequest(recorded, request, open, way.hasFraming));
  } catch (error) {
    tally.add([failure(recorded, 'the case', error)]);
  } finally {
    await open?.close();
  }
}

async function replayRequest(
  recorded: RecordedCase,
  request: RecordedRequest,
  open: OpenCase,
  framing: boolean,
): Promise<readonly FoundDifference[]> {
  try {
    const ours = await open.send(request);
    return compareOutcome(request.observed ?? { outcome: 'allow' }, ours, { framing, everyHeader: recorded.istio.recorder === 2 }).map(
      (difference) => {
        const documented = documentedName({ recorded, request, ours }, difference);
        return { ...difference, file: recorded.file, item: request.name, ...(documented === undefined ? {} : { documented }) };
      },
    );
  } catch (error) {
    return [failure(recorded, request.name, error)];
  }
}

/** Every resource must be rejected at exactly the recorded stages. */
export function replayAdmission(cases: readonly RecordedCase[]): ReplayReport {
  const tally = new Tally();
  for (const recorded of cases) {
    let built: BuiltCase;
    try {
      built = buildCase(recorded);
    } catch (error) {
      tally.add([failure(recorded, 'the case', error)]);
      continue;
    }
    for (const resource of recorded.resources) tally.add(admissionDifference(recorded, resourceName(resource), built));
  }
  return tally.report(cases.length);
}

function admissionDifference(recorded: RecordedCase, item: string, { refused }: BuiltCase): readonly FoundDifference[] {
  const rejections = (recorded.istio.rejected ?? []).filter(({ resource }) => resource === item);
  const theirs = [...new Set(rejections.map(({ stage }) => stage))].sort().join('+');
  const ours = [...new Set(refused.get(item) ?? [])].sort().join('+');
  return theirs === ours ? [] : [{ file: recorded.file, item, field: 'refused', recorded: theirs, ours }];
}

function failure(recorded: RecordedCase, item: string, error: unknown): FoundDifference {
  const said = error instanceof Error ? error.message : String(error);
  return { file: recorded.file, item, field: 'replay', recorded: 'an outcome', ours: `failed: ${said}` };
}

/** Differences that are not documented. */
export function undocumented({ differences }: ReplayReport): readonly FoundDifference[] {
  return differences.filter((difference) => difference.documented === undefined);
}
