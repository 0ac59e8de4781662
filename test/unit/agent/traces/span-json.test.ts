import { expect } from 'chai';
import type { ExchangeRecord } from '../../../../src/agent/exchange/exchange-record.ts';
import { type SpanFacts, spanJson } from '../../../../src/agent/traces/span-json.ts';
import type { VerdictLog } from '../../../../src/filters/verdict.ts';
import { exportBody } from '../../../../src/traces/otlp.ts';

const FACTS: SpanFacts = {
  context: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true },
  parentSpanId: undefined,
  traceState: '',
  startMs: 1_767_225_600_000.25,
  endMs: 1_767_225_600_123,
};
const VERDICT: VerdictLog = { outcome: 'allow', details: '', host: 'shop.example:8080', path: '/cart', principal: 'issuer/subject' };
const record = (over: Partial<ExchangeRecord> = {}): ExchangeRecord => ({
  protocol: '1.1',
  method: 'GET',
  path: '/cart?token=secret',
  status: 200,
  startMs: 1,
  evaluatedMs: 2,
  requestId: 'id',
  headers: ['authorization', 'Bearer secret'],
  sourceIp: '10.0.0.9',
  destinationPort: 8080,
  tls: undefined,
  verdict: VERDICT,
  details: '',
  digest: 'sha256:d',
  ...over,
});

interface Span {
  readonly name: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string; readonly intValue?: number } }[];
}
const spanOf = (over: Partial<ExchangeRecord> = {}, facts: Partial<SpanFacts> = {}, max = 1024): Span =>
  JSON.parse(spanJson(record(over), { ...FACTS, ...facts }, max)) as Span;
const attributesOf = (span: Span): Readonly<Record<string, string | number | undefined>> =>
  Object.fromEntries(span.attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]));

describe('span of an exchange', () => {
  it('has the fields and attributes of an HTTP server span, and the decision', () => {
    const span = spanOf();
    expect(span).to.deep.include({
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      name: 'GET',
      kind: 2,
      startTimeUnixNano: '1767225600000250000',
      endTimeUnixNano: '1767225600123000000',
    });
    expect(span).to.not.have.any.keys('parentSpanId', 'traceState', 'status');
    expect(attributesOf(span)).to.deep.equal({
      'http.request.method': 'GET',
      'url.path': '/cart',
      'url.scheme': 'http',
      'server.address': 'shop.example',
      'server.port': 8080,
      'client.address': '10.0.0.9',
      'network.peer.address': '10.0.0.9',
      'network.protocol.version': '1.1',
      'http.response.status_code': 200,
      'sallyport.decision': 'allow',
      'sallyport.bundle_digest': 'sha256:d',
      'sallyport.request_id': 'id',
    });
  });

  it('names the policy and the rule that denied, and the details', () => {
    const source = { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'deny', rule: 2 } as const;
    const verdict = {
      ...VERDICT,
      outcome: 'deny',
      decision: { allowed: false, reason: 'deny-rule', rule: { source } },
    } as unknown as VerdictLog;
    expect(attributesOf(spanOf({ status: 403, verdict, details: 'rbac_access_denied_matched_policy[shop]' }))).to.include({
      'http.response.status_code': 403,
      'sallyport.decision': 'deny',
      'sallyport.policy': 'shop/deny',
      'sallyport.rule': 2,
      'sallyport.response_code_details': 'rbac_access_denied_matched_policy[shop]',
    });
  });

  it('is an error for a status of the server, and only then', () => {
    expect(spanOf({ status: 503 })).to.deep.include({ status: { code: 2 } });
    expect(attributesOf(spanOf({ status: 503 }))).to.include({ 'error.type': '503' });
    for (const status of [0, 200, 403]) expect(spanOf({ status })).to.not.have.property('status');
    expect(attributesOf(spanOf({ status: 0 }))).to.not.have.property('http.response.status_code');
  });

  it('has parent and state of the client', () => {
    expect(spanOf({}, { parentSpanId: 'c'.repeat(16), traceState: 'a=1' })).to.include({ parentSpanId: 'c'.repeat(16), traceState: 'a=1' });
  });

  it('takes no name from a client, and cuts long values', () => {
    const span = spanOf({ method: 'BREW', path: `/${'x'.repeat(500)}`, verdict: undefined, status: 400 }, {}, 100);
    expect(span.name).to.equal('HTTP');
    expect(attributesOf(span)).to.include({ 'http.request.method': '_OTHER', 'http.request.method_original': 'BREW' });
    expect(String(attributesOf(span)['url.path'])).to.have.length(100);
  });

  it('holds no header, query or claim', () => {
    for (const verdict of [VERDICT, undefined]) expect(JSON.stringify(spanOf({ verdict }))).to.not.match(/secret|issuer|subject/);
  });

  for (const [host, address] of [
    ['a', 'a'],
    ['a:1', 'a'],
    ['[::1]:8080', '::1'],
    ['[::1]', '::1'],
    ['', undefined],
  ] as const) {
    it(`reads "${address}" from the host "${host}"`, () =>
      expect(attributesOf(spanOf({ verdict: { ...VERDICT, host } }))['server.address']).to.equal(address));
  }

  it('is exported with the attributes of its source', () => {
    const body = JSON.parse(exportBody({ attributes: { 'service.name': 'web"' } }, ['{"a":1}', '{"b":2}'])) as object;
    expect(body).to.deep.equal({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'web"' } }] },
          scopeSpans: [{ scope: { name: 'sallyport' }, spans: [{ a: 1 }, { b: 2 }] }],
        },
      ],
    });
  });
});
