/*
 * Replays the recorded decisions of Istio and Envoy through the library and through the proxy on real sockets. Every difference
 * must be a documented one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readCases } from './case-file.ts';
import { DOCUMENTED, explainedNames } from './differences.ts';
import { libraryWay } from './library.ts';
import { meshHandshakes } from './mesh-clients.ts';
import { proxyWay } from './proxy.ts';
import { type ReplayReport, replay, replayAdmission, undocumented } from './replay.ts';
import { ISTIO_CASES } from './run.ts';
import type { WayIn } from './way-in.ts';

const FOLDERS = [
  { name: 'cases', path: join(import.meta.dirname, 'cases'), requests: { library: 1095, proxy: 1095 } },
  { name: 'random', path: join(import.meta.dirname, 'random'), requests: { library: 3000, proxy: 3000 } },
  { name: 'found', path: join(import.meta.dirname, 'found'), requests: { library: 815, proxy: 815 } },
  { name: 'istio', path: ISTIO_CASES, requests: { library: 1099, proxy: 1099 } },
] as const;

describe('recorded decisions of Istio and Envoy', function () {
  this.timeout(120_000);
  const reports: ReplayReport[] = [];

  for (const { name, path, requests, way } of FOLDERS.flatMap((folder) => [
    { ...folder, way: libraryWay, requests: folder.requests.library },
    { ...folder, way: proxyWay, requests: folder.requests.proxy },
  ])) {
    it(`are the same in ${name}, through the ${way.name}`, async function () {
      if (!existsSync(path)) {
        console.log(`      SKIPPED: ${name} is not at ${path}`);
        this.skip();
      }
      const report = await replay(readCases(path), way);
      reports.push(report);

      expect(undocumented(report)).to.deep.equal([]);
      expect(report.replayed).to.equal(requests);
    });
  }

  it('come over mutual TLS where the record has an identity', () => {
    if (reports.length === 0) throw new Error('nothing was replayed');
    expect(meshHandshakes()).to.be.greaterThan(1500);
  });

  it('differ only under names that docs/differences.md explains', () => {
    const explained = explainedNames();
    expect([...explained]).to.include.members(DOCUMENTED.map(({ name }) => name));
    for (const { documented = '' } of reports.flatMap(({ differences }) => differences)) expect(explained).to.include(documented);
  });

  for (const { name, path } of FOLDERS) {
    it(`reject the same resources in ${name}`, function () {
      if (!existsSync(path)) {
        console.log(`      SKIPPED: ${name} is not at ${path}`);
        this.skip();
      }
      const report = replayAdmission(readCases(path));

      expect(report.differences).to.deep.equal([]);
      expect(report.replayed).to.be.above(name === 'found' ? 10 : 100);
    });
  }

  it('are not reproduced when every request, or no request, is allowed', async () => {
    const always = (outcome: 'allow' | 'deny'): WayIn => ({
      name: outcome,
      hasFraming: false,
      takes: () => true,
      open: async () => ({ send: async () => ({ outcome }), close: async () => {} }),
    });
    const cases = readCases(FOLDERS[0].path);
    const outcomes = async (way: WayIn): Promise<number> =>
      undocumented(await replay(cases, way)).filter(({ field }) => field === 'outcome').length;
    const allowed = await outcomes(always('allow'));
    const denied = await outcomes(always('deny'));

    expect(allowed).to.be.above(400);
    expect(denied).to.be.above(400);
    expect(allowed + denied).to.be.at.least(1095 - 2);
  });

  it('report a resource that is admitted instead of rejected', () => {
    const [recorded] = readCases(join(FOLDERS[0].path, 'authz_custom-dry-run.json'));
    if (recorded === undefined) throw new Error('the case does not exist');
    const report = replayAdmission([{ ...recorded, istio: {} }]);

    expect(report.differences.map(({ field }) => field)).to.deep.equal(['refused']);
  });

  it('report a case that cannot be replayed, and continue', async () => {
    const [recorded] = readCases(join(FOLDERS[0].path, 'authz_no-policy.json'));
    if (recorded === undefined) throw new Error('the case does not exist');
    const broken = { ...recorded, meshConfig: { trustDomain: 7 } };
    const report = await replay([broken, recorded], libraryWay);

    expect(undocumented(report).map(({ field, item }) => [field, item])).to.deep.equal([['replay', 'the case']]);
    expect(report.equal).to.equal(recorded.requests.length);
  });
});
