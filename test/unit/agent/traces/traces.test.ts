/*
 * Traces of a whole agent: what the application and a collector get.
 */
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningAgent, startAgent } from '../../../../src/agent/agent.ts';
import type { AgentOptions } from '../../../../src/agent/agent-options.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import {
  attributesIn,
  type ExportedSpan,
  type ExportedTraces,
  spansIn,
  startTracedApplication,
  TRACED,
  type TracedApplication,
  tracedBundle,
} from '../../../support/traced-workload.ts';
import { mountVolume, newFolder } from '../bundles.ts';
import { talk } from '../loopback.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traces of an agent', () => {
  let directory: string;
  let app: TracedApplication;
  let collector: Server;
  let exports: ExportedTraces[];
  let status: number;
  let agent: RunningAgent;

  const start = async (over: Partial<NonNullable<AgentOptions['traces']>> | 'no traces' = {}): Promise<void> => {
    const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/base/`;
    const traces = {
      endpoint,
      sampler: 'parentbased_always_on',
      ratio: 1,
      source: { attributes: { 'service.name': 'web' } },
      ...(over === 'no traces' ? {} : over),
    } as const;
    agent = await startAgent(
      {
        bundleDir: join(directory, 'bundle'),
        workload: TRACED,
        labelsFile: undefined,
        labels: undefined,
        stateDir: undefined,
        pollMs: 1000,
        ports: [{ listenPort: 0, appPort: app.port }],
        listenHost: '127.0.0.1',
        appHost: '127.0.0.1',
        destinationIp: '10.1.2.3',
        blockedPort: undefined,
        admin: undefined,
        appProbes: {},
        accessLog: undefined,
        drainMs: 50,
        logger: createLogger({ level: 'silent', component: 'test' }),
        processMetrics: false,
        ...(over === 'no traces' ? {} : { traces }),
      },
      new AbortController().signal,
    );
    await agent.ready();
  };
  const ask = async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
    (await fetch(`http://127.0.0.1:${agent.ports[0]}${path}`, { headers })).status;
  /** What the collector has got once the agent has stopped. */
  const exported = async (): Promise<readonly ExportedSpan[]> => {
    await agent.stop();
    return exports.flatMap(spansIn);
  };
  const forwarded = (name: string): string | string[] | undefined => app.seen[0]?.headers[name];

  beforeEach(async () => {
    directory = await newFolder();
    await mkdir(join(directory, 'bundle'));
    await mountVolume(join(directory, 'bundle'), tracedBundle());
    app = await startTracedApplication();
    exports = [];
    status = 200;
    collector = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => (body += String(part)));
      request.on('end', () => {
        expect(request.url).to.equal('/base/v1/traces');
        if (status === 200) exports.push(JSON.parse(body) as ExportedTraces);
        if (status !== 0) response.writeHead(status).end('{}');
      });
    });
    collector.listen(0, '127.0.0.1');
    await once(collector, 'listening');
  });
  afterEach(async () => {
    await agent.stop();
    app.stop();
    collector.close();
    collector.closeAllConnections();
    await rm(directory, { recursive: true });
  });

  it('continue the trace of the client, and are the parent of the application', async () => {
    await start();
    expect(await ask('/cart?secret', { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'vendor=1' })).to.equal(200);
    const [span] = await exported();

    expect(span).to.include({ traceId: TRACE, parentSpanId: SPAN, traceState: 'vendor=1', name: 'GET', kind: 2 });
    expect(forwarded('traceparent')).to.equal(`00-${TRACE}-${span?.spanId}-01`);
    expect(forwarded('tracestate')).to.equal('vendor=1');
    expect(span?.spanId)
      .to.match(/^[0-9a-f]{16}$/)
      .and.not.equal(SPAN);
    expect(attributesIn(exports[0]?.resourceSpans[0]?.resource.attributes ?? [])).to.deep.equal({ 'service.name': 'web' });
  });

  it('begin at a request without a valid parent, whose state is dropped', async () => {
    await start();
    await ask('/', { traceparent: `00-${TRACE}-${SPAN}-01-more`, tracestate: 'vendor=1' });
    const [span] = await exported();

    expect(span).to.not.have.any.keys('parentSpanId', 'traceState');
    expect(span?.traceId).to.not.equal(TRACE);
    expect(forwarded('traceparent')).to.equal(`00-${span?.traceId}-${span?.spanId}-01`);
    expect(forwarded('tracestate')).to.equal(undefined);
  });

  it('leave what the client does not sample unchanged, and what no sampler takes', async () => {
    await start({ sampler: 'parentbased_traceidratio', ratio: 0 });
    const headers = { traceparent: `00-${TRACE}-${SPAN}-00`, tracestate: 'vendor=1' };
    await ask('/one', headers);
    await ask('/two');
    expect(await exported()).to.deep.equal([]);
    expect(app.seen.map(({ headers: got }) => [got['traceparent'], got['tracestate']])).to.deep.equal([
      [headers.traceparent, headers.tracestate],
      [undefined, undefined],
    ]);
  });

  it('name what denied a request, with the parent of the client, and mark failures of the application', async () => {
    await start();
    expect(await ask('/no', { traceparent: `00-${TRACE}-${SPAN}-01` })).to.equal(403);
    expect(await ask('/fail')).to.equal(500);
    const [denied, failed] = await exported();

    expect(denied).to.include({ traceId: TRACE, parentSpanId: SPAN });
    expect(attributesIn(denied?.attributes ?? [])).to.include({
      'http.response.status_code': '403',
      'sallyport.decision': 'deny',
      'sallyport.policy': 'shop/guard',
      'sallyport.rule': '1',
    });
    expect(attributesIn(denied?.attributes ?? [])['sallyport.response_code_details']).to.match(/^rbac_access_denied_matched_policy/);
    expect(failed?.status).to.deep.equal({ code: 2 });
    expect(app.seen).to.have.length(1);
  });

  it('have a span for each request of a connection, with times in order', async () => {
    await start();
    const text =
      'GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    await talk(agent.ports[0] ?? 0, text);
    const spans = await exported();

    expect(spans.map(({ attributes }) => attributesIn(attributes)['url.path'])).to.deep.equal(['/a', '/no', '/b']);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).to.equal(3);
    for (const span of spans) expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).to.equal(true);
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    expect(nowNs - BigInt(spans[0]?.startTimeUnixNano ?? 0) < 60_000_000_000n).to.equal(true);
  });

  it('never fail or delay a request, whatever the collector does, and count what is lost', async () => {
    for (const answer of [0, 500]) {
      status = answer;
      await start();
      for (let at = 0; at < 3; at += 1) expect(await ask('/')).to.equal(200);
      await agent.stop();
      const lost = /sallyport_agent_spans_total\{result="dropped"\} (\d+)/.exec(agent.metrics.text())?.[1];
      expect(lost, String(answer)).to.equal('3');
    }
  });

  it('are not there without a collector: the trace context of the client reaches the application', async () => {
    await start('no traces');
    const traceparent = `00-${TRACE}-${SPAN}-01`;
    await ask('/', { traceparent });
    expect(forwarded('traceparent')).to.equal(traceparent);
    expect(await exported()).to.deep.equal([]);
  });
});
