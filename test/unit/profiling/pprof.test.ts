import { expect } from 'chai';
import { Profile } from 'pprof-format';
import { encodePprof } from '../../../src/profiling/pprof.ts';
import type { TakenProfile } from '../../../src/profiling/take-profile.ts';

const frame = (functionName: string, lineNumber: number) => ({
  functionName,
  scriptId: '1',
  url: functionName.startsWith('(') ? '' : 'file:///app/agent.mjs',
  lineNumber,
  columnNumber: 0,
});

/** Values by the names of the functions, the outermost one first. */
function stacksIn(encoded: Uint8Array): Readonly<Record<string, readonly number[]>> {
  const { sample, location, function: functions, stringTable } = Profile.decode(encoded);
  const nameOf = (id: number | bigint): string => {
    const line = location.find((each) => each.id === id)?.line[0];
    const found = functions.find((each) => each.id === line?.functionId);
    return `${stringTable.strings[Number(found?.name)]}:${line?.line}`;
  };
  return Object.fromEntries(sample.map(({ locationId, value }) => [locationId.map(nameOf).toReversed().join(' '), value.map(Number)]));
}

function typesIn(encoded: Uint8Array): readonly string[] {
  const { sampleType, stringTable } = Profile.decode(encoded);
  return sampleType.map(({ type, unit }) => `${stringTable.strings[Number(type)]}/${stringTable.strings[Number(unit)]}`);
}

describe('encodePprof', () => {
  it('sums up samples of a CPU profile by stack, without those of a waiting thread', () => {
    const taken: TakenProfile = {
      kind: 'cpu',
      ms: 1000,
      profile: {
        nodes: [
          { id: 1, callFrame: frame('(root)', -1), children: [2, 4] },
          { id: 2, callFrame: frame('serve', 9), children: [3] },
          { id: 3, callFrame: frame('', 19) },
          { id: 4, callFrame: frame('(idle)', -1) },
        ],
        startTime: 0,
        endTime: 4000,
        samples: [2, 3, 4, 3],
        timeDeltas: [100, 1000, 2000, 500],
      },
    };
    const encoded = encodePprof(taken, 1_700_000_000_000);
    expect(typesIn(encoded)).to.deep.equal(['samples/count', 'cpu/nanoseconds']);
    expect(stacksIn(encoded)).to.deep.equal({ 'serve:10': [1, 1_000_000], 'serve:10 (anonymous):20': [2, 2_000_000] });
    const { timeNanos, durationNanos } = Profile.decode(encoded);
    expect([timeNanos, durationNanos].map(String)).to.deep.equal(['1700000000000000000', '1000000000']);
  });

  it('has the bytes of a heap profile by stack, however deep it is', () => {
    type Node = Extract<TakenProfile, { readonly kind: 'heap' | 'allocs' }>['profile']['head'];
    let node: Node = { callFrame: frame('leaf', 0), selfSize: 64, children: [] };
    for (let depth = 0; depth < 500; depth += 1) node = { callFrame: frame('call', 1), selfSize: 0, children: [node] };
    const head: Node = { callFrame: frame('(root)', -1), selfSize: 8, children: [node] };
    for (const [kind, type] of [
      ['heap', 'inuse_space'],
      ['allocs', 'alloc_space'],
    ] as const) {
      const encoded = encodePprof({ kind, ms: 1000, profile: { head } }, 0);
      expect(typesIn(encoded)).to.deep.equal([`${type}/bytes`]);
      expect(stacksIn(encoded)).to.deep.equal({ '(root):0': [8], [`${'call:2 '.repeat(500)}leaf:1`]: [64] });
    }
  });

  it('is a valid profile when nothing was sampled', () => {
    const profile = { nodes: [], startTime: 0, endTime: 0 };
    expect(stacksIn(encodePprof({ kind: 'cpu', ms: 1000, profile }, 0))).to.deep.equal({});
  });
});
