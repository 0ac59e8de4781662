/*
 * The built agent with the bytes, addresses and certificates of recorded requests, in a separate network namespace: what its client and the
 * application get is what real Istio and Envoy did. `npm run oracle -- --wire` does the same with fresh cases.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildProcess } from '../../scripts/build.ts';
import { readCases } from '../conformance/case-file.ts';
import { type ReplayReport, replay, undocumented } from '../conformance/replay.ts';
import { inOwnNetwork } from '../oracle/wire/redirect.ts';
import { asSeenOnTheWire, wireWay } from '../oracle/wire/wire-file.ts';
import { requirePodNetwork } from '../support/pod-network.ts';

const CASES = new URL('../conformance/found', import.meta.url).pathname;
const PROGRAM = new URL('../oracle/wire/replay-recorded.ts', import.meta.url).pathname;

describe('the built agent on the wire', function () {
  this.timeout(300_000);
  let directory: string | undefined;
  let report: ReplayReport;

  before(async function () {
    await requirePodNetwork(this, 'the built agent on the wire');
    directory = await mkdtemp(join(tmpdir(), 'sallyport-wire-test-'));
    for (const name of ['agent', 'agent-grpc'] as const) await buildProcess(name, directory);
    const out = join(directory, 'out');
    const [program = '', ...args] = inOwnNetwork([process.execPath, PROGRAM, out, join(directory, 'agent.mjs'), CASES]);
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).to.equal(0);
    report = await replay(readCases(CASES).map(asSeenOnTheWire), wireWay(out));
  });

  after(async () => {
    if (directory !== undefined) await rm(directory, { recursive: true });
  });

  it('does what Istio and Envoy did', () => {
    expect(undocumented(report)).to.deep.equal([]);
    expect(report.replayed).to.be.at.least(815);
    expect(report.notYet).to.equal(0);
  });

  it('differs only where a difference is documented', () => {
    expect(report.equal).to.be.above(700);
  });
});
