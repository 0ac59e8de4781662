import { expect } from 'chai';
import { EvaluationQueue, EvaluationTicket } from '../../../../src/agent/exchange/evaluation-queue.ts';
import { systemClock } from '../../../../src/clock.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

/** A queue whose turns run when the test says so, on a clock that only evaluations move. */
class Rig {
  nowMs = 1000;
  readonly log: string[] = [];
  readonly #turns: (() => void)[] = [];
  readonly queue = new EvaluationQueue({ ...systemClock, nowMs: () => this.nowMs }, (run) => this.#turns.push(run));

  /** A connection whose evaluations take `costMs`. */
  ticket(name: string, costMs: number, then: () => void = () => {}): EvaluationTicket {
    return new EvaluationTicket({
      onEvaluationTurn: () => {
        this.log.push(name);
        this.nowMs += costMs;
        then();
      },
      onEvaluationTimeout: () => this.log.push(`${name} too late`),
    });
  }

  /** Runs one turn of the event loop. @returns false: none was asked for */
  turn(): boolean {
    const run = this.#turns.shift();
    run?.();
    return run !== undefined;
  }

  get asked(): number {
    return this.#turns.length;
  }
}

describe('evaluation queue', () => {
  it('runs nothing before the next turn, and asks for one turn only', () => {
    const rig = new Rig();
    for (const name of ['a', 'b']) rig.queue.add(rig.ticket(name, LIMITS.evaluationTurn.value / 4));

    expect(rig.log).to.deep.equal([]);
    expect(rig.asked).to.equal(1);
    rig.turn();
    expect(rig.log).to.deep.equal(['a', 'b']);
    expect(rig.turn()).to.equal(false);
  });

  it('ends a turn when its time is over, and goes on in the next one', () => {
    const rig = new Rig();
    for (const name of ['a', 'b', 'c', 'd', 'e']) rig.queue.add(rig.ticket(name, LIMITS.evaluationTurn.value * 0.6));
    rig.turn();

    expect(rig.log).to.deep.equal(['a', 'b']);
    expect(rig.queue.length).to.equal(3);
    rig.turn();
    expect(rig.log).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('runs one evaluation in a turn, however long it takes', () => {
    const rig = new Rig();
    for (const name of ['a', 'b']) rig.queue.add(rig.ticket(name, 50));
    rig.turn();

    expect(rig.log).to.deep.equal(['a']);
  });

  it('forgets a connection that is gone', () => {
    const rig = new Rig();
    const gone = rig.ticket('gone', 0.1);
    rig.queue.add(gone);
    rig.queue.add(rig.ticket('a', 0.1));
    rig.queue.remove(gone);
    rig.queue.remove(gone);
    rig.turn();

    expect(rig.log).to.deep.equal(['a']);
    expect(rig.queue.length).to.equal(0);
  });

  it('prefers connections that took little time, without starving the others', () => {
    const rig = new Rig();
    const flood = Array.from({ length: 16 }, (_, at) => {
      const ticket: EvaluationTicket = rig.ticket(`flood-${at}`, 0.3, () => rig.queue.add(ticket));
      return ticket;
    });
    for (const ticket of flood) rig.queue.add(ticket);
    for (let at = 0; at < 200; at += 1) rig.turn();
    rig.log.length = 0;
    rig.queue.add(rig.ticket('good', 0.1));
    rig.turn();
    expect(rig.log.slice(0, 2)).to.include('good');

    rig.log.length = 0;
    for (let at = 0; at < 14; at += 1) rig.queue.add(rig.ticket('good', 0.1));
    for (let at = 0; at < 10; at += 1) rig.turn();
    expect(rig.log.slice(0, 8).filter((name) => name !== 'good')).to.have.length(1);
  });

  it('forgives a connection that pauses', () => {
    const rig = new Rig();
    const ticket = rig.ticket('a', 1);
    for (let at = 0; at < 5; at += 1) {
      rig.queue.add(ticket);
      rig.turn();
    }

    expect(ticket.debt.isHeavy(rig.nowMs)).to.equal(true);
    expect(ticket.debt.isHeavy(rig.nowMs + 1000)).to.equal(false);
  });

  it('refuses what waited for too long, and counts it', () => {
    const rig = new Rig();
    const before = LIMITS.evaluationWait.reached;
    rig.queue.add(rig.ticket('a', 0.1));
    rig.nowMs += LIMITS.evaluationWait.value + 1;
    rig.turn();

    expect(rig.log).to.deep.equal(['a too late']);
    expect(LIMITS.evaluationWait.reached).to.equal(before + 1);
  });

  it('accepts no more than its limit, and counts what it refuses', () => {
    const rig = new Rig();
    const before = LIMITS.waitingEvaluations.reached;
    for (let at = 0; at < LIMITS.waitingEvaluations.value; at += 1) expect(rig.queue.add(rig.ticket('a', 0.1))).to.equal(true);

    expect(rig.queue.add(rig.ticket('a', 0.1))).to.equal(false);
    expect(LIMITS.waitingEvaluations.reached).to.equal(before + 1);
  });

  it('runs on the event loop', async () => {
    const queue = new EvaluationQueue(systemClock);
    const done = new Promise<void>((resolve) => {
      queue.add(new EvaluationTicket({ onEvaluationTurn: resolve, onEvaluationTimeout: resolve }));
    });

    await done;
    expect(queue.length).to.equal(0);
  });
});
