/*
 * Spans in the JSON form of OTLP (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), with the attributes of the semantic
 * conventions for HTTP servers. Claims, header values and query strings never appear.
 */
import type { Provenance } from '../../policy/model/program.ts';
import type { ExchangeRecord } from '../exchange/exchange-record.ts';
import { decisionOf, ruleOf } from '../log/decision-of.ts';
import type { SpanContext } from './trace-context.ts';

/** A span of one exchange. */
export interface SpanFacts {
  readonly context: SpanContext;
  readonly parentSpanId: string | undefined;
  /** As the client sent it; empty: none. */
  readonly traceState: string;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
}

/** What the spans of an agent have in common: attributes of the resource by name. */
export interface TraceSource {
  readonly attributes: Readonly<Record<string, string>>;
}

type Value = { readonly stringValue: string } | { readonly intValue: number };

interface Attribute {
  readonly key: string;
  readonly value: Value;
}

const SERVER_KIND = 2;
const ERROR_STATUS = 2;
/** Other methods would be as many span names as a client likes. */
const METHODS: ReadonlySet<string> = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE']);

/** One span as JSON. @param maxField longest value of an attribute, in characters; longer ones are cut */
export function spanJson(record: ExchangeRecord, span: SpanFacts, maxField: number): string {
  const { context, parentSpanId, traceState } = span;
  const { method, status } = record;
  const isKnown = METHODS.has(method);
  return JSON.stringify({
    traceId: context.traceId,
    spanId: context.spanId,
    ...(traceState === '' ? {} : { traceState: traceState.slice(0, maxField) }),
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name: isKnown ? method : 'HTTP',
    kind: SERVER_KIND,
    startTimeUnixNano: nanos(span.startMs),
    endTimeUnixNano: nanos(span.endMs),
    attributes: attributesOf(record, maxField),
    ...(status >= 500 ? { status: { code: ERROR_STATUS } } : {}),
  });
}

function attributesOf(record: ExchangeRecord, maxField: number): readonly Attribute[] {
  const { method, path, status, verdict, details } = record;
  const isKnown = METHODS.has(method);
  const rule = verdict === undefined ? undefined : ruleOf(verdict);
  const attributes: (Attribute | undefined)[] = [
    text('http.request.method', isKnown ? method : '_OTHER'),
    isKnown ? undefined : text('http.request.method_original', method),
    text('url.path', path.replace(/[?#].*$/s, '')),
    text('url.scheme', 'http'),
    text('server.address', hostOf(verdict?.host ?? '')),
    number('server.port', record.destinationPort),
    text('client.address', verdict?.remoteIp ?? record.sourceIp),
    text('network.peer.address', record.sourceIp),
    text('network.protocol.version', record.protocol),
    status === 0 ? undefined : number('http.response.status_code', status),
    status >= 500 ? text('error.type', String(status)) : undefined,
    verdict?.isGrpc === true ? text('rpc.system', 'grpc') : undefined,
    text('sallyport.decision', decisionOf(record)),
    text('sallyport.response_code_details', details),
    ...ruleAttributes(rule),
    text('sallyport.bundle_digest', record.digest),
    text('sallyport.request_id', record.requestId),
  ];
  const present = attributes.filter((attribute) => attribute !== undefined);
  return present.map((attribute) => cut(attribute, maxField));

  function text(key: string, value: string): Attribute | undefined {
    return value === '' ? undefined : { key, value: { stringValue: value } };
  }
}

function ruleAttributes(rule: Provenance | undefined): readonly Attribute[] {
  if (rule === undefined) return [];
  return [{ key: 'sallyport.policy', value: { stringValue: `${rule.namespace}/${rule.name}` } }, number('sallyport.rule', rule.rule)];
}

function number(key: string, value: number): Attribute {
  return { key, value: { intValue: value } };
}

function cut({ key, value }: Attribute, max: number): Attribute {
  return 'stringValue' in value && value.stringValue.length > max
    ? { key, value: { stringValue: value.stringValue.slice(0, max) } }
    : { key, value };
}

/** Without port, and without the brackets of an IPv6 address. */
function hostOf(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return bracketed ?? plain ?? host;
}

/** A number would lose the last digits. */
function nanos(ms: number): string {
  return `${Math.floor(ms)}${String(Math.floor((ms % 1) * 1e6)).padStart(6, '0')}`;
}

/** The body of a request to export spans. @param spans of {@link spanJson} */
export function exportBody({ attributes }: TraceSource, spans: readonly string[]): string {
  const resource = { attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: { stringValue: value } })) };
  return `{"resourceSpans":[{"resource":${JSON.stringify(resource)},"scopeSpans":[{"scope":{"name":"sallyport"},"spans":[${spans.join(',')}]}]}]}`;
}
