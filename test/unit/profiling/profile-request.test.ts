import { expect } from 'chai';
import { PROFILE_INDEX, parseProfileRequest } from '../../../src/profiling/profile-request.ts';

describe('parseProfileRequest', () => {
  it('finds the profile by the path, and the format by its extension', () => {
    expect(parseProfileRequest('/debug/pprof/profile?seconds=30')).to.deep.equal({
      kind: 'cpu',
      format: 'pprof',
      file: 'cpu.pb.gz',
      ms: 30_000,
    });
    expect(parseProfileRequest('/debug/pprof/allocs.heapprofile')).to.deep.equal({
      kind: 'allocs',
      format: 'v8',
      file: 'allocs.heapprofile',
      ms: 10_000,
    });
    expect(parseProfileRequest('/debug/pprof/heap?seconds=1')).to.include({ kind: 'heap', format: 'pprof', ms: 1000 });
  });

  it('lists every profile', () => {
    for (const target of ['/debug/pprof/', '/debug/pprof']) expect(parseProfileRequest(target)).to.equal('index');
    const paths = PROFILE_INDEX.split('\n').filter((line) => line.startsWith('/'));
    expect(paths).to.have.length(6);
    for (const path of paths) expect(parseProfileRequest(path)).to.have.property('kind');
  });

  const refused: readonly [target: string, status: number, reason: string][] = [
    ['/debug/pprof/profile?seconds=0', 400, 'seconds: "0" is not an integer from 1 to 60'],
    ['/debug/pprof/profile?seconds=61', 400, 'seconds: "61" is not an integer from 1 to 60'],
    ['/debug/pprof/profile?seconds=1e1', 400, 'seconds: "1e1" is not an integer from 1 to 60'],
    ['/debug/pprof/profile?seconds=', 400, 'seconds: "" is not an integer from 1 to 60'],
    ['/debug/pprof/profile?seconds=1&seconds=2', 400, 'seconds: "1" is given twice'],
    ['/debug/pprof/profile?debug=1', 400, 'the parameter "debug" is not known; the only one is "seconds"'],
    ['/debug/pprof/constructor', 404, 'no such profile; /debug/pprof/ lists them'],
    ['/debug/heapsnapshot', 404, 'no such profile; /debug/pprof/ lists them'],
    ['//[', 400, 'the request target is not valid'],
    [`/debug/pprof/profile?seconds=1${'0'.repeat(300)}`, 400, 'the request target is not valid'],
  ];
  for (const [target, status, reason] of refused) {
    it(`refuses ${target.slice(0, 60)}`, () => {
      expect(parseProfileRequest(target)).to.deep.equal({ status, reason });
    });
  }
});
