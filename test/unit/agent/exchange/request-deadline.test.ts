/*
 * Deadlines of clients in an exchange in memory: what has to end when the time is over, at each stage of the exchange, and that a request
 * that ends before leaves no timer. test/integration/grpc-timeout.test.ts compares the responses with those of Envoy.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import type { ExtAuthzClient } from '../../../../src/agent/context.ts';
import { EvaluationQueue } from '../../../../src/agent/exchange/evaluation-queue.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { createFakeClock, type FakeClock } from '../../../support/fake-clock.ts';
import { chainWithChecks, whole } from '../check-chain.ts';
import { type MemoryStage, type MemoryStageOptions, memoryStage } from '../memory-stage.ts';

describe('exchange: deadlines of clients', () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = createFakeClock();
  });
  const open = (options: MemoryStageOptions = {}): MemoryStage => memoryStage({ clock, ...options });
  const last = ({ records }: MemoryStage): readonly unknown[] => {
    const record = records.at(-1);
    return [record?.status, record?.details, record?.verdict?.outcome];
  };

  it('has no timer for a request without grpc-timeout, or with an invalid one', () => {
    const { client } = open();
    client.request();
    open().client.request({ grpcTimeout: 'soon' });
    open().client.request({ grpcTimeout: '99999999H' });
    expect(clock.pending()).to.deep.equal([]);
  });

  it('ends a request that the application does not answer, and drops it there', () => {
    const stage = open();
    stage.client.request({ grpcTimeout: '50m' });
    clock.advance(49);
    expect(stage.client.response.status).to.equal(0);
    clock.advance(1);
    expect(stage.client.response).to.include({ status: 504, body: 'downstream duration timeout', ended: 'reply' });
    expect(stage.upstream.last.ended).to.equal(false);
    expect(last(stage)).to.deep.equal([504, 'max_duration_timeout', 'allow']);
    stage.client.request({ grpcTimeout: '50m' });
    clock.advance(50);
    expect(stage.records.map(({ status }) => status)).to.deep.equal([504, 504]);
  });

  it('has a timer for 24 days at most', () => {
    open().client.request({ grpcTimeout: '2073601S' });
    expect(clock.pending()).to.deep.equal([]);
    open().client.request({ grpcTimeout: '2073600S' });
    expect(clock.pending()).to.deep.equal([LIMITS.requestDeadline.value]);
  });

  it('ends a request whose body is not complete with 408, and one whose body is with 504', () => {
    const [cut, complete] = [open(), open()];
    for (const { client } of [cut, complete]) client.request({ method: 'POST', body: 2, grpcTimeout: '50m' }).send('ab');
    complete.client.endBody();
    clock.advance(50);
    expect([cut, complete].map(({ client }) => client.response.status)).to.deep.equal([408, 504]);
  });

  it('cuts a response that has begun', async () => {
    const stage = open();
    stage.client.request({ grpcTimeout: '50m' });
    stage.upstream.last.respond(200);
    clock.advance(50);
    await turn();
    expect(stage.client.response).to.include({ status: 200, ended: 'reset' });
    expect(last(stage)).to.deep.equal([200, 'max_duration_timeout', 'allow']);
  });

  it('stops its timer with the response', () => {
    const { client, upstream, records } = open();
    client.request({ grpcTimeout: '50m' });
    upstream.last.respond(200).finish();
    expect(clock.pending()).to.deep.equal([]);
    client.request({ target: '/no', grpcTimeout: '50m' });
    expect(clock.pending()).to.deep.equal([]);
    client.request({ grpcTimeout: '50m' });
    client.disconnect();
    expect(clock.pending()).to.deep.equal([]);
    expect(records).to.have.length(3);
  });

  it('ends a request whose check is not answered, and aborts the check', () => {
    const signals: AbortSignal[] = [];
    const extAuthz: ExtAuthzClient = (_check, _body, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const stage = open({ filterChain: chainWithChecks([undefined]), extAuthz });
    stage.client.request({ grpcTimeout: '50m' });
    clock.advance(50);
    expect(stage.client.response.status).to.equal(504);
    expect(signals.map(({ aborted }) => aborted)).to.deep.equal([true]);
    expect(stage.upstream.exchanges).to.deep.equal([]);
    expect(stage.records.map(({ details }) => details)).to.deep.equal(['max_duration_timeout']);
  });

  it('sends no check when the time is over before the body that it needs', () => {
    let checks = 0;
    const extAuthz: ExtAuthzClient = () => {
      checks += 1;
      return new Promise(() => {});
    };
    const stage = open({ filterChain: chainWithChecks([whole(5)]), extAuthz });
    stage.client.request({ method: 'POST', body: 5, grpcTimeout: '50m' }).send('ab');
    clock.advance(50);
    expect(stage.client.response.status).to.equal(408);
    expect(checks).to.equal(0);
  });

  it('takes a request that waits for its turn out of the queue', () => {
    const evaluations = new EvaluationQueue(clock, () => {});
    const stage = open({ evaluations });
    for (let at = 0; at < 8; at++) {
      stage.client.request({ target: '/no', more: true });
    }
    stage.client.request({ grpcTimeout: '50m', more: true });
    expect(evaluations.length).to.equal(1);
    clock.advance(50);
    expect(evaluations.length).to.equal(0);
    expect(stage.client.response.status).to.equal(504);
    expect(last(stage)).to.deep.equal([504, 'max_duration_timeout', undefined]);
  });
});
