/*
 * The controller on a real API server, with traces, and the OTLP receiver of the OpenTelemetry Collector: what the receiver understands.
 */
import { expect } from 'chai';
import { buildModule } from '../cluster/build.ts';
import { freePorts } from '../cluster/wait.ts';
import { AP, DENY_GET, setUp } from '../support/controller-stage.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { attributesIn, type ExportedSpan } from '../support/traced-workload.ts';

describe('traces of the controller', function () {
  this.timeout(180_000);
  const at = setUp();
  let receiver: OtlpReceiver | undefined;
  let endpoint: string;

  before(async () => {
    const [port] = await freePorts(1);
    endpoint = `http://127.0.0.1:${port}`;
    receiver = await startOtlpReceiver(await buildModule('otlp-receiver', new URL('../otlp/', import.meta.url)), endpoint);
    await at.stop(at.controller);
    at.controller = await at.start('traced', { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    await at.see(async () => (await at.controller.get('/readyz')).status === 200, 'readiness');
  });
  after(() => receiver?.stop());

  it('have the work on each workload with its parts, understood by the receiver of the Collector', async () => {
    await at.guardedPod();
    await at.cluster.policy(AP, 'no-get', at.ns, DENY_GET);
    await at.see(async () => (await at.rulesOf())?.join() === 'no-get', 'the rule in the bundle');
    await at.see(async () => (await at.controller.metric('sallyport_spans_total{result="exported"}')) !== undefined, 'an export');
    await at.stop(at.controller);

    const spans = receiver?.spans() ?? [];
    const here = (span: ExportedSpan): boolean => attributesIn(span.attributes)['k8s.namespace.name'] === at.ns;
    const reconciles = spans.filter((span) => span.name === 'reconcile' && here(span));
    expect(reconciles.map(({ attributes }) => attributesIn(attributes)['sallyport.workload'])).to.include('pod/httpbin');
    const partsOf = ({ spanId }: ExportedSpan): readonly ExportedSpan[] => spans.filter(({ parentSpanId }) => parentSpanId === spanId);
    const parts = reconciles.flatMap(partsOf);
    expect(parts.map(({ name }) => name)).to.include.members(['compile', 'publish']);
    const results = parts.filter(({ name }) => name === 'publish').map(({ attributes }) => attributesIn(attributes)['sallyport.result']);
    expect(results).to.include.members(['created', 'updated']);
    for (const part of parts) expect(reconciles.map(({ traceId }) => traceId)).to.include(part.traceId);
    const resource = receiver?.received[0]?.resourceSpans[0]?.resource.attributes ?? [];
    expect(attributesIn(resource)).to.include({ 'service.name': 'sallyport-controller', 'k8s.pod.name': 'traced' });
  });
});
