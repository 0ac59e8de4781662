import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { systemClock } from '../../../src/clock.ts';
import { LIMITS } from '../../../src/limits/agent-limits.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { OperationTraces, type OperationTracesOptions } from '../../../src/traces/operation-traces.ts';
import { traced } from '../../../src/traces/tracer.ts';
import { attributesIn, type ExportedSpan, type ExportedTraces, spansIn } from '../../support/traced-workload.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traces of work', () => {
  let collector: Server;
  let exports: ExportedTraces[];
  let counts: string[];

  const open = (over: Partial<OperationTracesOptions> = {}): OperationTraces =>
    new OperationTraces({
      endpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
      sampler: 'parentbased_always_on',
      ratio: 1,
      source: { attributes: { 'service.name': 'sallyport-controller' } },
      clock: systemClock,
      logger: createLogger({ level: 'silent', component: 'test' }),
      limits: LIMITS,
      random: Math.random,
      onSpans: (result, count) => counts.push(`${result} ${count}`),
      ...over,
    });
  /** Exports what was made. @returns the spans by name */
  const ended = async (traces: OperationTraces): Promise<Readonly<Record<string, ExportedSpan>>> => {
    await traces.stop(10_000);
    return Object.fromEntries(exports.flatMap(spansIn).map((span) => [span.name, span]));
  };

  beforeEach(async () => {
    exports = [];
    counts = [];
    collector = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => (body += String(part)));
      request.on('end', () => {
        exports.push(JSON.parse(body) as ExportedTraces);
        response.end('{}');
      });
    });
    collector.listen(0, '127.0.0.1');
    await once(collector, 'listening');
  });
  afterEach(() => {
    collector.closeAllConnections();
    collector.close();
  });

  it('have a span for each part, below the span in which it ran, also of work at the same time', async () => {
    const traces = open();
    const work = (name: string): Promise<void> =>
      traces.trace({ name, attributes: { 'sallyport.workload': name } }, async () => {
        await traces.trace({ name: `${name} compile`, attributes: {} }, async (set) => set('sallyport.bundle_bytes', 7));
        await new Promise((resolve) => setImmediate(resolve));
        await traces.trace({ name: `${name} publish`, attributes: {} }, async () => undefined);
      });
    await Promise.all([work('one'), work('two')]);

    const spans = await ended(traces);
    expect(Object.keys(spans)).to.have.length(6);
    for (const name of ['one', 'two']) {
      const parent = spans[name];
      expect(parent).to.include({ kind: 1 }).and.not.have.property('parentSpanId');
      expect(attributesIn(parent?.attributes ?? [])).to.deep.equal({ 'sallyport.workload': name });
      for (const part of ['compile', 'publish'])
        expect(spans[`${name} ${part}`]).to.include({ traceId: parent?.traceId, parentSpanId: parent?.spanId });
      expect(attributesIn(spans[`${name} compile`]?.attributes ?? [])).to.deep.equal({ 'sallyport.bundle_bytes': '7' });
    }
    expect(spans['one']?.traceId).to.not.equal(spans['two']?.traceId);
    expect(counts).to.deep.equal(['exported 6']);
  });

  it('continue the trace of a client, and follow its decision', async () => {
    const traces = open();
    const serve = (name: string, traceParent: string): Promise<void> =>
      traces.trace({ name, kind: 'server', attributes: {}, traceParent }, () =>
        traces.trace({ name: `part of ${name}`, attributes: {} }, async () => undefined),
      );
    await serve('sampled', `00-${TRACE}-${SPAN}-01`);
    await serve('not sampled', `00-${TRACE}-${SPAN}-00`);
    await serve('invalid', '00-zz');

    const spans = await ended(traces);
    expect(Object.keys(spans).toSorted()).to.deep.equal(['invalid', 'part of invalid', 'part of sampled', 'sampled']);
    expect(spans['sampled']).to.include({ traceId: TRACE, parentSpanId: SPAN, kind: 2 });
    expect(spans['invalid']).to.not.have.property('parentSpanId');
  });

  it('have work that was done elsewhere, in the trace of its client', async () => {
    const traces = open();
    traces.record(
      { name: 'elsewhere', kind: 'server', attributes: { 'sallyport.result': 'allowed' }, traceParent: `00-${TRACE}-${SPAN}-01` },
      250,
    );
    traces.record({ name: 'not sampled', attributes: {}, traceParent: `00-${TRACE}-${SPAN}-00` }, 1);

    const spans = await ended(traces);
    expect(Object.keys(spans)).to.deep.equal(['elsewhere']);
    const { elsewhere } = spans;
    expect(elsewhere).to.include({ traceId: TRACE, parentSpanId: SPAN, kind: 2 });
    expect(BigInt(elsewhere?.endTimeUnixNano ?? 0) - BigInt(elsewhere?.startTimeUnixNano ?? 0)).to.equal(250_000_000n);
  });

  it('fail with the work, whose error is passed on', async () => {
    const traces = open();
    const failure = new Error('secret detail');
    const seen = await traces.trace({ name: 'publish', attributes: {} }, () => Promise.reject(failure)).catch((error: unknown) => error);
    expect(seen).to.equal(failure);
    const { publish } = await ended(traces);
    expect(publish?.status).to.deep.include({ code: 2 });
    expect(JSON.stringify(exports)).to.not.include('secret detail');
  });

  it('are decided once for all parts', async () => {
    const traces = open({ sampler: 'always_off' });
    const result = await traces.trace({ name: 'reconcile', attributes: {} }, (set) => {
      set('never', 1);
      return traces.trace({ name: 'compile', attributes: {} }, async () => 5);
    });
    expect(result).to.equal(5);
    expect(await ended(traces)).to.deep.equal({});
  });

  it('cut long attributes', async () => {
    const traces = open();
    await traces.trace({ name: 'long', attributes: { text: 'x'.repeat(5000) } }, async () => undefined);
    const { long } = await ended(traces);
    expect(attributesIn(long?.attributes ?? [])['text']).to.have.length(LIMITS.spanField.value);
  });
});

describe('work without a tracer', () => {
  it('runs all the same', async () => {
    expect(await traced(undefined, { name: 'compile', attributes: {} }, async (set) => set('a', 1))).to.equal(undefined);
    const failure = await traced(undefined, { name: 'compile', attributes: {} }, () => Promise.reject(new Error('no'))).catch(
      (error: Error) => error.message,
    );
    expect(failure).to.equal('no');
  });
});
