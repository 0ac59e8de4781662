import { expect } from 'chai';
import { type AgentReports, createAgentReports, GRACE_MS } from '../../../src/status/agent-reports.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

describe('reports of agents', () => {
  let clock: FakeClock;
  let agents: AgentReports;
  let forgotten: (string | undefined)[];
  const names = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `foo/p${at}`);
  beforeEach(() => {
    clock = createFakeClock();
    agents = createAgentReports(clock);
    agents.beginTerm();
    clock.advance(GRACE_MS);
    forgotten = [];
    agents.subscribe((pod) => {
      if (pod !== undefined && agents.get(pod) === undefined) forgotten.push(pod);
    });
    for (const name of names(1000)) agents.set(name, { uid: name, revision: 'one' });
  });

  it('count for a while after the end of a stream', () => {
    agents.remove('foo/p0');
    clock.advance(GRACE_MS - 1);
    expect([agents.graceMs('foo/p0'), forgotten]).to.deep.equal([1, []]);
    clock.advance(1);
    expect([agents.graceMs('foo/p0'), forgotten]).to.deep.equal([0, ['foo/p0']]);
  });

  it('count longer when many agents have to connect again, however many have done so', () => {
    for (const name of names(1000)) agents.remove(name);
    clock.advance(GRACE_MS);
    for (const name of names(999)) agents.set(name, { uid: name, revision: 'one' });
    expect([agents.graceMs('foo/p999'), forgotten]).to.deep.equal([4000, []]);
    clock.advance(3999);
    expect(forgotten).to.deep.equal([]);
    clock.advance(1);
    expect(forgotten).to.deep.equal(['foo/p999']);
  });

  it('count as long as usual after that', () => {
    for (const name of names(1000)) agents.remove(name);
    for (const name of names(1000)) agents.set(name, { uid: name, revision: 'one' });
    agents.remove('foo/p0');
    clock.advance(GRACE_MS);
    expect(forgotten).to.deep.equal(['foo/p0']);
  });

  it('count as long as usual after that, also when there is always one without a stream', () => {
    for (const name of names(1000)) agents.remove(name);
    for (const name of names(999)) agents.set(name, { uid: name, revision: 'one' });
    for (let at = 0; at < 60; at += 1) {
      agents.remove(`foo/p${at}`);
      clock.advance(1_000);
    }
    expect([agents.graceMs('foo/p59'), forgotten.includes('foo/p44'), forgotten.includes('foo/p46')]).to.deep.equal([14_000, true, false]);
  });

  it('are forgotten at the end of a term, with how many streams had ended', () => {
    for (const name of names(1000)) agents.remove(name);
    agents.endTerm();
    agents.beginTerm();
    agents.set('foo/p0', { uid: 'foo/p0', revision: 'one' });
    clock.advance(GRACE_MS);
    agents.remove('foo/p0');
    expect(agents.graceMs('foo/p0')).to.equal(GRACE_MS);
  });
});
