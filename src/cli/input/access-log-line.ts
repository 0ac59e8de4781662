/*
 * A line of an agent's access log as a request. The line has the path without query, no headers and no token; docs/reference/access-log.md says
 * what follows from that.
 */
import * as z from 'zod';
import { LIMITS } from '../../limits/agent-limits.ts';
import { isIpLiteral } from '../../policy/match/ip-block.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { parseJson } from './read-file.ts';
import { isPeer, type RequestSpec } from './request-spec.ts';

/** What a line says about its request. */
export interface AccessLine {
  /** Without a token. */
  readonly spec: RequestSpec;
  /** `iss/sub` of the verified token; `''`: none was verified. */
  readonly principal: string;
  /** Policies saw that the request had no valid token, or saw {@link principal}; otherwise the token is unknown. */
  readonly isTokenKnown: boolean;
  /** As logged: `allow`, `deny` and others. */
  readonly decision: string;
  /** Of the bundle that decided; `''`: unknown. */
  readonly digest: string;
  /** Why the request cannot be evaluated; absent: it can. */
  readonly unusable?: string;
}

/** The agent cuts fields at this length. */
const CUT = LIMITS.accessLogField.value;

const lineSchema = z.object({
  component: z.literal('access'),
  decision: z.string(),
  'http.request.method': z.string(),
  'url.path': z.string(),
  'server.address': z.string(),
  'server.port': z.number(),
  'client.address': z.string().refine((text) => text === '' || isIpLiteral(text), 'expected an IP address'),
  'remote.ip': z.string().refine(isIpLiteral, 'expected an IP address').optional(),
  'source.principal': z.string().refine(isPeer, 'expected an identity').optional(),
  'source.identity': z.enum(['mtls', 'xfcc', 'pod-ip', 'none']).optional(),
  'tls.client.server_name': z.string().optional(),
  'rpc.system': z.string().optional(),
  reason: z.string().optional(),
  principal: z.string(),
  digest: z.string().default(''),
});

type Line = z.infer<typeof lineSchema>;

/** Whether `value` is a line of an agent's output: of the access log, or another log line. */
export function isAgentLine(value: unknown): value is { readonly component: unknown } {
  return typeof value === 'object' && value !== null && 'component' in value && !('method' in value);
}

/** The request of a line; undefined: it is another line of the agent's output. @returns a string that names what is wrong */
export function readAccessLine(value: { readonly component: unknown }): AccessLine | string | undefined {
  // A TCP connection is no request.
  if (value.component !== 'access' || ('message' in value && value.message === 'connection')) return undefined;
  const result = lineSchema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a line of the access log'}`;
  }
  const line = result.data;
  const unusable = unusableBecause(line);
  return {
    spec: specOf(line),
    principal: line.principal,
    decision: line.decision,
    digest: line.digest,
    isTokenKnown: line.reason !== undefined,
    ...(unusable === undefined ? {} : { unusable }),
  };
}

function unusableBecause(line: Line): string | undefined {
  const { decision, 'url.path': path, 'server.address': host } = line;
  if (host === '' || decision === 'closed') return 'it was refused before any policy';
  if (path.length >= CUT || host.length >= CUT) return 'its path or host was cut';
  return utf8Of(path) === undefined || utf8Of(host) === undefined ? 'its path or host is not UTF-8' : undefined;
}

function specOf(line: Line): RequestSpec {
  const {
    'remote.ip': remoteIp,
    'source.principal': peer,
    'source.identity': grade,
    'tls.client.server_name': sni,
    'rpc.system': rpc,
  } = line;
  const source = line['client.address'];
  return {
    method: line['http.request.method'],
    path: utf8Of(line['url.path']) ?? '/',
    host: utf8Of(line['server.address']),
    port: line['server.port'],
    peer,
    ...(grade === undefined || grade === 'mtls' ? {} : { peerGrade: grade }),
    sni,
    ...(source === '' ? {} : { sourceIp: source }),
    headers: [
      ...(remoteIp === undefined ? [] : [['x-forwarded-for', remoteIp] as const]),
      ...(rpc === 'grpc' ? [['content-type', 'application/grpc'] as const] : []),
    ],
  };
}

/** The text of a byte string; undefined: it is not UTF-8. */
function utf8Of(bytes: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(bytes, 'latin1'));
  } catch {
    return undefined;
  }
}

/**
 * The `entry`th line of the access log in `text`, which may have other lines of the agent's output between them; undefined: it is no log.
 * @throws CommandError with exit code 65 when there is no such line, or its request cannot be evaluated
 */
export function findAccessLine(text: string, entry: number, file: string): AccessLine | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const values = lines.map((line, index) => parseJson(line, `${file}:${index + 1}`));
  const found = values.flatMap((value) => (isAgentLine(value) ? [readAccessLine(value)] : [])).filter((line) => line !== undefined);
  const line = found[entry];
  if (line === undefined)
    throw new CommandError(EXIT_BAD_DATA, `${file}: there is no line ${entry} of an access log; it has ${found.length}`);
  const problem = typeof line === 'string' ? line : line.unusable;
  if (problem !== undefined) throw new CommandError(EXIT_BAD_DATA, `${file}: line ${entry} of the access log: ${problem}`);
  return line as AccessLine;
}
