/*
 * Profiles of V8 in the format of pprof (https://github.com/google/pprof/blob/main/proto/profile.proto). Samples with the same stack are
 * summed up.
 */
import { Function as Func, Line, Location, Profile, Sample, StringTable, ValueType } from 'pprof-format';
import type { TakenProfile } from './take-profile.ts';

/** Where a function is, in both kinds of profiles; line and column are counted from 0. */
interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** Values of one node of the tree of calls, the innermost function first. */
interface Stack {
  readonly frames: readonly CallFrame[];
  readonly values: readonly number[];
}

/** Names and units of the values of a sample; the last one is what tools show first. */
const VALUE_TYPES: Readonly<Record<TakenProfile['kind'], readonly (readonly [type: string, unit: string])[]>> = {
  cpu: [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ],
  heap: [['inuse_space', 'bytes']],
  allocs: [['alloc_space', 'bytes']],
};

/** What V8 records while the thread waits: not CPU time. */
const IDLE = '(idle)';
const ROOT = '(root)';
const ANONYMOUS = '(anonymous)';

/** The profile as protobuf, not compressed. @param startMs when it began, in milliseconds since 1970 */
export function encodePprof(taken: TakenProfile, startMs: number): Uint8Array {
  const strings = new StringTable();
  const functions = new Map<string, Func>();
  const locations = new Map<string, Location>();
  const locate = (frame: CallFrame): number => {
    const line = frame.lineNumber + 1;
    const name = frame.functionName === '' ? ANONYMOUS : frame.functionName;
    const key = `${name}\n${frame.url}\n${line}`;
    const known = locations.get(key);
    if (known !== undefined) return Number(known.id);
    const id = locations.size + 1;
    const text = strings.dedup(name);
    functions.set(key, new Func({ id, name: text, systemName: text, filename: strings.dedup(frame.url), startLine: line }));
    locations.set(key, new Location({ id, line: [new Line({ functionId: id, line })] }));
    return id;
  };
  const stacks = taken.kind === 'cpu' ? cpuStacks(taken.profile) : heapStacks(taken.profile);
  const sample = stacks.map(({ frames, values }) => new Sample({ locationId: frames.map(locate), value: [...values] }));
  const types = VALUE_TYPES[taken.kind].map(([type, unit]) => new ValueType({ type: strings.dedup(type), unit: strings.dedup(unit) }));
  const profile = new Profile({
    sampleType: types,
    sample,
    location: [...locations.values()],
    function: [...functions.values()],
    stringTable: strings,
    timeNanos: BigInt(Math.round(startMs)) * 1_000_000n,
    durationNanos: BigInt(taken.ms) * 1_000_000n,
    ...(types.at(-1) === undefined ? {} : { periodType: types.at(-1) as ValueType }),
    period: 1,
  });
  return profile.encode();
}

function cpuStacks({ nodes, samples = [], timeDeltas = [] }: Extract<TakenProfile, { readonly kind: 'cpu' }>['profile']): readonly Stack[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const sums = new Map<number, { count: number; nanoseconds: number }>();
  for (const [at, id] of samples.entries()) {
    const sum = sums.get(id) ?? { count: 0, nanoseconds: 0 };
    sum.count += 1;
    // Time until the next sample; V8 may put two of them in the wrong order.
    sum.nanoseconds += Math.max(0, timeDeltas[at + 1] ?? 0) * 1000;
    sums.set(id, sum);
  }
  return [...sums].flatMap(([id, { count, nanoseconds }]) => {
    const frames: CallFrame[] = [];
    for (let node = byId.get(id); node !== undefined; node = byId.get(parents.get(node.id) ?? Number.NaN)) frames.push(node.callFrame);
    return frames[0]?.functionName === IDLE ? [] : [{ frames: withoutRoot(frames), values: [count, nanoseconds] }];
  });
}

function heapStacks({ head }: Extract<TakenProfile, { readonly kind: 'heap' | 'allocs' }>['profile']): readonly Stack[] {
  const stacks: Stack[] = [];
  const open: { readonly node: typeof head; readonly frames: readonly CallFrame[] }[] = [{ node: head, frames: [] }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node } = next;
    const frames = [node.callFrame, ...next.frames];
    if (node.selfSize > 0) stacks.push({ frames: withoutRoot(frames), values: [node.selfSize] });
    for (const child of node.children) open.push({ node: child, frames });
  }
  return stacks;
}

function withoutRoot(frames: readonly CallFrame[]): readonly CallFrame[] {
  return frames.length > 1 && frames.at(-1)?.functionName === ROOT ? frames.slice(0, -1) : frames;
}
