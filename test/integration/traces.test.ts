/*
 * The agent as it is built, with traces, and the OTLP receiver of the OpenTelemetry Collector: what the receiver understands, retries after
 * it refused, a flush when the agent stops, and nothing loaded without a collector.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildModule } from '../cluster/build.ts';
import { freePorts } from '../cluster/wait.ts';
import { agentCommand } from '../support/agent-flags.ts';
import { until } from '../support/fake-clock.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { TracedStage } from '../support/traced-stage.ts';
import { attributesIn, type ExportedSpan } from '../support/traced-workload.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traces of the built agent', function () {
  this.timeout(180_000);
  let at: TracedStage;
  let receiverPath: string;
  let receiver: OtlpReceiver | undefined;
  let endpoint: string;
  let port: number;
  let adminPort: number;

  const startReceiver = async (refused = 0): Promise<void> => {
    receiver = await startOtlpReceiver(receiverPath, endpoint, refused);
  };
  const startAgent = async (env: Readonly<Record<string, string>>): Promise<void> => {
    [port = 0, adminPort = 0] = await freePorts(2);
    await at.startAgent([port, adminPort], env);
  };
  const ask = async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close', ...headers } })).status;
  const spans = (): readonly ExportedSpan[] => receiver?.spans() ?? [];
  const metric = async (result: string): Promise<string | undefined> => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return new RegExp(`sallyport_agent_spans_total\\{result="${result}"\\} (\\d+)`).exec(text)?.[1];
  };

  before(async () => {
    receiverPath = await buildModule('otlp-receiver', new URL('../otlp/', import.meta.url));
    at = await TracedStage.build();
    const [receiverPort] = await freePorts(1);
    endpoint = `http://127.0.0.1:${receiverPort}`;
  });
  after(() => at?.close());
  afterEach(async () => {
    await at.stopAgent();
    await receiver?.stop();
    receiver = undefined;
  });

  it('are understood by the receiver of the Collector, with nothing left out', async () => {
    await startReceiver();
    await startAgent({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    expect(await ask('/cart?secret=1', { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'vendor=1' })).to.equal(200);
    expect(await ask('/no')).to.equal(403);
    expect(await ask('/fail')).to.equal(500);
    await at.stopAgent();
    await until(() => spans().length === 3, 'the spans');

    const [allowed, denied, failed] = spans();
    expect(allowed).to.include({ traceId: TRACE, parentSpanId: SPAN, traceState: 'vendor=1', name: 'GET', kind: 2 });
    expect(at.app.seen[0]?.headers['traceparent']).to.equal(`00-${TRACE}-${allowed?.spanId}-01`);
    expect(attributesIn(allowed?.attributes ?? [])).to.include({
      'http.request.method': 'GET',
      'url.path': '/cart',
      'http.response.status_code': '200',
      'server.port': String(at.app.port),
      'sallyport.decision': 'allow',
    });
    expect(attributesIn(denied?.attributes ?? [])).to.include({
      'sallyport.decision': 'deny',
      'sallyport.policy': 'shop/guard',
      'sallyport.rule': '1',
    });
    expect(failed?.status).to.deep.include({ code: 2 });
    const [{ resource, scopeSpans } = { resource: { attributes: [] }, scopeSpans: [] }] = receiver?.received[0]?.resourceSpans ?? [];
    expect(attributesIn(resource.attributes)).to.deep.equal({
      'service.name': 'web',
      'service.namespace': 'shop',
      'k8s.namespace.name': 'shop',
      'k8s.deployment.name': 'web',
      'k8s.pod.name': 'web-1',
    });
    expect(scopeSpans[0]?.scope.name).to.equal('sallyport');
    expect(JSON.stringify(receiver?.received)).to.not.include('secret');
  });

  it('arrive after the receiver was full, and after it was away, in the background', async () => {
    await startAgent({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    expect(await ask('/one')).to.equal(200);
    await until(() => at.lines.some(({ message }) => message === 'spans cannot be exported'), 'the line in the log');
    expect(await metric('exported')).to.equal('0');
    await startReceiver(1);
    await until(() => spans().length === 1, 'the span');
    await until(async () => (await metric('exported')) === '1', 'the metric');
    expect(await metric('dropped')).to.equal('0');
    expect(at.lines.filter(({ message }) => message === 'spans are exported again')).to.have.length(1);
  });

  it('refuse an endpoint that is no URL, by its name', async () => {
    const [program = '', ...args] = agentCommand();
    const refused = spawn(program, [...args, join(at.directory, 'dist/agent.mjs'), '--otlp-endpoint', 'collector:4318'], {
      env: { PATH: process.env['PATH'] ?? '' },
    });
    let text = '';
    refused.stdout.on('data', (part) => (text += String(part)));
    expect(await once(refused, 'exit')).to.deep.equal([78, null]);
    expect(text).to.include('--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT): not a URL');
  });

  it('are not loaded without a collector: the agent starts and serves when their file is not there', async () => {
    const file = join(at.directory, 'dist/agent-traces.mjs');
    expect((await stat(file)).size).to.be.below(24 * 1024);
    await rm(file);
    await startAgent({});
    expect(await ask('/two', { traceparent: `00-${TRACE}-${SPAN}-01` })).to.equal(200);
    expect(at.app.seen.at(-1)?.headers['traceparent']).to.equal(`00-${TRACE}-${SPAN}-01`);
  });
});
