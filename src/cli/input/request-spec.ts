/*
 * A written request, as in test tables, JSON lines, flags and HAR files. It is parsed by the agent's own codec, so that a request
 * which the codec rejects is rejected here too.
 */
import * as z from 'zod';
import { CODEC_ERROR } from '../../agent/http1/codec-replies.ts';
import { parseRequestHead } from '../../agent/http1/request-head.ts';
import type { RawRequest } from '../../http/heads.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import { LOW_VERSION } from '../../http/normalize/rejections.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import { isIpLiteral } from '../../policy/match/ip-block.ts';
import { codecHint } from './codec-hint.ts';
import type { DialedPort } from './split-url.ts';

/** Client address of a request that names none: an address for documentation, which no network has (RFC 5737). */
export const DEFAULT_SOURCE_IP = '192.0.2.1';
const DEFAULT_PORT = 80;
/** Stands for the id that an agent generates for a request without one. */
const REQUEST_ID = '00000000-0000-4000-8000-000000000000';
const MAX_SHOWN = 40;
const HEAD_END = /\r?\n\r?\n/;
/** Response code details that do not say what is wrong. */
const HINTED: ReadonlySet<string> = new Set([CODEC_ERROR.details, LOW_VERSION.details]);
const METHODS_WITH_LENGTH: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** Members of a written request that describe the connection. */
export const connectionSchema: z.ZodObject<{
  sourceIp: z.ZodOptional<z.ZodString>;
  destinationIp: z.ZodOptional<z.ZodString>;
  port: z.ZodOptional<z.ZodNumber>;
  peer: z.ZodOptional<z.ZodString>;
  sni: z.ZodOptional<z.ZodString>;
}> = z.strictObject({
  sourceIp: z.string().refine(isIpLiteral, 'expected an IP address').optional(),
  destinationIp: z.string().refine(isIpLiteral, 'expected an IP address').optional(),
  port: z.int().min(1).max(65_535).optional(),
  peer: z.string().refine(isPeer, 'expected an identity, e.g. spiffe://cluster.local/ns/foo/sa/sleep').optional(),
  sni: z.string().optional(),
});

/** Whether `text` is a peer identity: a URI, or a SPIFFE identity without its scheme, as policies write it. */
export function isPeer(text: string): boolean {
  return /^([a-z][a-z0-9+.-]*:\/\/\S+|[^/\s]+\/ns\/[^/\s]+\/sa\/[^/\s]+)$/.test(text);
}

const headersSchema: z.ZodType<HeadersSpec> = z.union([
  z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  z.array(z.tuple([z.string(), z.string()])),
]);

/** A request in YAML or JSON. `path` is the target with its query; `headers` is a map (values may be arrays) or an array of pairs. */
export const requestSchema: z.ZodObject<
  {
    method: z.ZodOptional<z.ZodString>;
    path: z.ZodOptional<z.ZodString>;
    host: z.ZodOptional<z.ZodString>;
    headers: z.ZodOptional<typeof headersSchema>;
    body: z.ZodOptional<z.ZodString>;
  } & typeof connectionSchema.shape
> = z.strictObject({
  method: z.string().optional(),
  path: z.string().optional(),
  host: z.string().optional(),
  headers: headersSchema.optional(),
  body: z.string().optional(),
  ...connectionSchema.shape,
});

/** Values by name, or pairs in order. */
export type HeadersSpec = Readonly<Record<string, string | readonly string[]>> | readonly (readonly [string, string])[];

/** What a written request says about its connection. */
export interface ConnectionSpec {
  /** Absent: {@link DEFAULT_SOURCE_IP}. */
  readonly sourceIp?: string | undefined;
  /** Absent: unknown, and no `destination.ip` matches. */
  readonly destinationIp?: string | undefined;
  /** Port of the pod. Absent: 80. */
  readonly port?: number | undefined;
  /** SPIFFE URI of the client's certificate, with or without `spiffe://`; absent: no mTLS. */
  readonly peer?: string | undefined;
  /** Where the agent had the identity from, if it was not the certificate. */
  readonly peerGrade?: ConnectionFacts['peerGrade'] | undefined;
  /** Absent: none. */
  readonly sni?: string | undefined;
}

/** A written request. */
export interface RequestSpec extends ConnectionSpec {
  /** Absent: GET. */
  readonly method?: string | undefined;
  /** The port that the client dials; absent: unknown. Has no effect together with `port`. */
  readonly dialed?: DialedPort | undefined;
  /** Target with query; absent: `/`. */
  readonly path?: string | undefined;
  /** Value of Host; absent: the caller's default. */
  readonly host?: string | undefined;
  /** Absent: none. */
  readonly headers?: HeadersSpec | undefined;
  /** Absent: empty. */
  readonly body?: string | undefined;
}

/** The result of the codec: a request to evaluate, or the codec's rejection with a hint at the cause if one was found. */
export type ReadRequest = { readonly kind: 'request'; readonly request: RawRequest } | (LocalReply & { readonly hint?: string });

/** Header pairs in the order written. */
export function headerPairs(headers: RequestSpec['headers']): readonly (readonly [string, string])[] {
  if (headers === undefined) return [];
  if (isPairs(headers)) return headers;
  return Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).map((one) => [name, one] as const),
  );
}

function isPairs(headers: HeadersSpec): headers is readonly (readonly [string, string])[] {
  return Array.isArray(headers);
}

/** Parses `spec` as the agent would. @param defaultHost Host of a spec that names none, neither as `host` nor as header */
export function readSpec(spec: RequestSpec, defaultHost: string): ReadRequest {
  const { method = 'GET', path = '/', body = '' } = spec;
  const pairs = headerPairs(spec.headers);
  const broken = rejectLineBreaks([method, path, spec.host ?? '', ...pairs.flat()]);
  if (broken !== undefined) return broken;
  const has = (name: RegExp): boolean => pairs.some(([header]) => name.test(header));
  const lines = [`${method} ${path} HTTP/1.1`];
  if (spec.host !== undefined) lines.push(`Host: ${spec.host}`);
  else if (!has(/^host$/i)) lines.push(`Host: ${defaultHost}`);
  lines.push(...pairs.map(([name, value]) => `${name}: ${value}`));
  if ((body !== '' || METHODS_WITH_LENGTH.has(method)) && !has(/^(content-length|transfer-encoding)$/i)) {
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  }
  return readHead(`${lines.join('\r\n')}\r\n\r\n`, spec);
}

/** A field is one line: a line break in it would add header fields that the author did not write. */
function rejectLineBreaks(fields: readonly string[]): ReadRequest | undefined {
  const broken = fields.find((field) => /[\r\n]/.test(field));
  return broken === undefined
    ? undefined
    : { ...CODEC_ERROR, hint: `there is a line break in ${JSON.stringify(broken.slice(0, MAX_SHOWN))}` };
}

/**
 * Parses a raw HTTP/1.1 message as the agent would. Lines may end in LF alone, as editors write them; the body is ignored.
 * @param extraHeaders appended to the headers of the message
 */
export function readHttpText(
  text: string,
  connection: ConnectionSpec,
  extraHeaders: readonly (readonly [string, string])[] = [],
): ReadRequest {
  const broken = rejectLineBreaks(extraHeaders.flat());
  if (broken !== undefined) return broken;
  const start = text.replace(/^(\r?\n)+/, '');
  const end = HEAD_END.exec(start);
  const head = (end === null ? start.trimEnd() : start.slice(0, end.index)).replaceAll(/\r?\n/g, '\r\n');
  const extra = extraHeaders.map(([name, value]) => `\r\n${name}: ${value}`).join('');
  return readHead(`${head}${extra}\r\n\r\n`, connection);
}

/** Encodes `text` as UTF-8 and passes the codec one character per byte, as it reads from the wire. */
function readHead(text: string, spec: ConnectionSpec): ReadRequest {
  const head = parseRequestHead(Buffer.from(text, 'utf8').toString('latin1'));
  if (head.kind === 'reply') {
    const hint = HINTED.has(head.details) ? (codecHint(text) ?? methodHint(text)) : undefined;
    return hint === undefined ? head : { ...head, hint };
  }
  const { method, target, headers, body, clientRequestId } = head;
  const id = clientRequestId === '' ? { requestId: REQUEST_ID } : {};
  return {
    kind: 'request',
    request: { version: '1.1', method, target, headers, ...id, hasBody: body !== 0, connection: connectionOf(spec) },
  };
}

/** A hint when only the method is invalid: the codec accepts the same head with GET. */
function methodHint(text: string): string | undefined {
  const [method = ''] = text.split(' ', 1);
  return parseRequestHead(text.replace(method, 'GET')).kind === 'reply' ? undefined : `agents do not support the method ${method}`;
}

function connectionOf({
  sourceIp = DEFAULT_SOURCE_IP,
  destinationIp = '',
  port = DEFAULT_PORT,
  peer,
  peerGrade,
  sni = '',
}: ConnectionSpec): ConnectionFacts {
  return {
    sourceIp,
    destinationIp,
    destinationPort: port,
    sni: sni.toLowerCase(),
    tls: peer !== undefined && peerGrade === undefined,
    ...(peerGrade === undefined ? {} : { peerGrade }),
    ...(peer === undefined ? {} : { peer: { uris: [peer.includes('://') ? peer : `spiffe://${peer}`], dnsNames: [], subject: '' } }),
  };
}
