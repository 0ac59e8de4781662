/*
 * Spans in the JSON form of OTLP (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), with the attributes of the semantic
 * conventions for HTTP servers. Claims, header values and query strings never appear.
 */
import type { Provenance } from '../../policy/model/program.ts';
import { type Attribute, cutAttribute, ERROR_STATUS, nanosOf, numberAttribute } from '../../traces/otlp.ts';
import type { SpanContext } from '../../traces/trace-context.ts';
import type { ExchangeRecord } from '../exchange/exchange-record.ts';
import { decisionOf, ruleOf } from '../log/decision-of.ts';

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

const SERVER_KIND = 2;
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
    startTimeUnixNano: nanosOf(span.startMs),
    endTimeUnixNano: nanosOf(span.endMs),
    attributes: attributesOf(record, maxField),
    ...(status >= 500 ? { status: ERROR_STATUS } : {}),
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
    numberAttribute('server.port', record.destinationPort),
    text('client.address', verdict?.remoteIp ?? record.sourceIp),
    text('network.peer.address', record.sourceIp),
    text('network.protocol.version', record.protocol),
    status === 0 ? undefined : numberAttribute('http.response.status_code', status),
    status >= 500 ? text('error.type', String(status)) : undefined,
    verdict?.isGrpc === true ? text('rpc.system', 'grpc') : undefined,
    text('sallyport.decision', decisionOf(record)),
    text('sallyport.response_code_details', details),
    ...ruleAttributes(rule),
    text('sallyport.bundle_digest', record.digest),
    text('sallyport.request_id', record.requestId),
  ];
  const present = attributes.filter((attribute) => attribute !== undefined);
  return present.map((attribute) => cutAttribute(attribute, maxField));

  function text(key: string, value: string): Attribute | undefined {
    return value === '' ? undefined : { key, value: { stringValue: value } };
  }
}

function ruleAttributes(rule: Provenance | undefined): readonly Attribute[] {
  if (rule === undefined) return [];
  return [
    { key: 'sallyport.policy', value: { stringValue: `${rule.namespace}/${rule.name}` } },
    numberAttribute('sallyport.rule', rule.rule),
  ];
}

/** Without port, and without the brackets of an IPv6 address. */
function hostOf(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return bracketed ?? plain ?? host;
}
