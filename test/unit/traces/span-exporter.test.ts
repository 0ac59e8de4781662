import { expect } from 'chai';
import { LIMITS, type LimitName } from '../../../src/limits/agent-limits.ts';
import { Limit } from '../../../src/limits/limit.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';
import type { PostResult } from '../../../src/traces/post.ts';
import { SpanExporter } from '../../../src/traces/span-exporter.ts';
import { until } from '../../support/fake-clock.ts';

const answered = (status: number, body = '', retryAfter = ''): PostResult => ({ kind: 'answered', status, body, retryAfter });
const FAILED: PostResult = { kind: 'failed', reason: 'ECONNREFUSED' };
/** Longer than a test takes. */
const NEVER = 600_000;

describe('span exporter', () => {
  let results: PostResult[];
  let bodies: string[];
  let deadlines: number[];
  let counts: Record<'exported' | 'dropped', number>;
  let warnings: string[];
  let hold: Promise<void> | undefined;
  let closed: boolean;
  let onClose: () => void;

  const create = (limits: Partial<Record<LimitName, number>>): SpanExporter => {
    const own = Object.entries({ spanDelay: NEVER, spanExportRetry: 1, ...limits }).map(
      ([name, value]) => [name, new Limit(name, LIMITS[name as LimitName].unit, value, '')] as const,
    );
    return new SpanExporter({
      poster: {
        post: async (body, ms) => {
          bodies.push(body);
          deadlines.push(ms);
          await hold;
          return results.shift() ?? answered(200);
        },
        close: () => {
          closed = true;
          onClose();
        },
      },
      source: { attributes: {} },
      limits: { ...LIMITS, ...(Object.fromEntries(own) as Partial<typeof LIMITS>) },
      logger: { warn: ({ reason }: { reason: string }) => warnings.push(reason), info: () => warnings.push('fine') } as unknown as Logger,
      random: () => 0,
      onSpans: (result, count) => {
        counts[result] += count;
      },
    });
  };
  const spansOf = (body = ''): string => /"spans":\[(.*?)\]/.exec(body)?.[1] ?? '';

  beforeEach(() => {
    results = [];
    bodies = [];
    deadlines = [];
    counts = { exported: 0, dropped: 0 };
    warnings = [];
    hold = undefined;
    closed = false;
    onClose = () => undefined;
  });

  it('exports a batch as soon as it is full, and fewer spans after the delay', async () => {
    const full = create({ spanBatch: 2 });
    for (const span of ['1', '2', '3']) full.add(span);
    await until(() => counts.exported === 2, 'the full batch');
    expect(bodies.map(spansOf)).to.deep.equal(['1,2']);

    const slow = create({ spanDelay: 1 });
    slow.add('4');
    await until(() => counts.exported === 3, 'the delayed export');
    expect(spansOf(bodies[1])).to.equal('4');
    await full.stop(1000);
  });

  it('drops what the queue cannot hold, by spans and by bytes, and never waits', async () => {
    const few = create({ queuedSpans: 2 });
    for (const span of ['1', '2', '3']) few.add(span);
    expect(counts.dropped).to.equal(1);
    const short = create({ queuedSpanBytes: 10 });
    for (const span of ['12345', '\u{1f600}\u{1f600}', '1']) short.add(span);
    expect(counts.dropped).to.equal(2);
    await Promise.all([few.stop(1000), short.stop(1000)]);
    expect(counts).to.deep.equal({ exported: 4, dropped: 2 });
  });

  it('gives the space back that exported spans took', async () => {
    const exporter = create({ queuedSpans: 2, queuedSpanBytes: 2, spanBatch: 2 });
    for (let round = 1; round <= 3; round += 1) {
      exporter.add('1');
      exporter.add('2');
      await until(() => counts.exported === 2 * round, 'the export');
    }
    expect(counts.dropped).to.equal(0);
    await exporter.stop(1000);
  });

  it('retries what the specification allows, and nothing else', async () => {
    for (const [result, attempts] of [
      [FAILED, 2],
      [answered(429), 2],
      [answered(503), 2],
      [answered(502), 2],
      [answered(504), 2],
      [answered(500), 1],
      [answered(400), 1],
      [answered(404), 1],
    ] as const) {
      bodies = [];
      results = [result];
      const exporter = create({ spanBatch: 1 });
      const before = counts.exported + counts.dropped;
      exporter.add('1');
      await until(() => counts.exported + counts.dropped === before + 1, 'the end of the export');
      expect(bodies, JSON.stringify(result)).to.have.length(attempts);
      await exporter.stop(0);
    }
    expect(counts).to.deep.equal({ exported: 5, dropped: 3 });
  });

  it('gives up after a number of attempts, counts the batch, and says why once', async () => {
    results = Array.from({ length: 3 }, () => FAILED);
    const exporter = create({ spanBatch: 2, spanExportAttempts: 3 });
    exporter.add('1');
    exporter.add('2');
    await until(() => counts.dropped === 2, 'the batch to be dropped');
    expect(bodies).to.have.length(3);
    expect(warnings).to.deep.equal(['ECONNREFUSED']);

    exporter.add('3');
    await exporter.stop(1000);
    expect(warnings).to.deep.equal(['ECONNREFUSED', 'fine']);
  });

  it('waits as long as the collector asks for, up to the limit', async () => {
    results = [answered(503, '', '999999')];
    const exporter = create({ spanBatch: 1, spanExportLongestRetry: 20 });
    const startMs = performance.now();
    exporter.add('1');
    await until(() => counts.exported === 1, 'the second attempt');
    expect(performance.now() - startMs).to.be.at.least(19);
    await exporter.stop(0);
  });

  it('counts spans that the collector rejected', async () => {
    results = [answered(200, '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}')];
    const exporter = create({ spanBatch: 3 });
    for (const span of ['1', '2', '3']) exporter.add(span);
    await until(() => counts.dropped === 2, 'the count');
    expect(counts.exported).to.equal(1);
    expect(warnings).to.deep.equal(['the collector rejected spans']);
    await exporter.stop(0);
  });

  it('exports everything when the agent stops, without retries, and closes the connection', async () => {
    const exporter = create({ spanBatch: 2 });
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    for (const span of ['1', '2', '3', '4', '5']) exporter.add(span);
    const stopped = exporter.stop(5000);
    held.resolve();
    results = [answered(200), FAILED];
    await stopped;
    expect(bodies.map(spansOf)).to.deep.equal(['1,2', '3,4', '5']);
    expect(counts).to.deep.equal({ exported: 3, dropped: 2 });
    expect(closed).to.equal(true);
    expect(deadlines.slice(1).every((ms) => ms <= 5000)).to.equal(true);
  });

  it('ends an export that began before the agent stopped when the time is over', async () => {
    results = [FAILED];
    const exporter = create({ spanBatch: 1 });
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    onClose = held.resolve;
    for (const span of ['1', '2']) exporter.add(span);
    await until(() => bodies.length === 1, 'the export');
    await exporter.stop(20);
    expect(counts).to.deep.equal({ exported: 0, dropped: 2 });
    expect(bodies).to.have.length(1);
  });

  it('drops what is left when no time is left', async () => {
    const exporter = create({});
    exporter.add('1');
    await exporter.stop(0);
    expect(counts).to.deep.equal({ exported: 0, dropped: 1 });
    expect(bodies).to.have.length(0);
  });
});
