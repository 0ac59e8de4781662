/*
 * Joins what the agent evaluated (its access log) with what the application received, by request id.
 */
import { denial } from './policies.ts';
import type { Received } from './strict-reader.ts';

/** Most characters of a field of the access log. */
const MAX_FIELD = 2048;

/** The fields of an access log line that are compared. */
interface Line {
  readonly decision: string;
  readonly 'http.request.method': string;
  readonly 'url.path': string;
  readonly 'server.address': string;
  readonly request_id: string;
  readonly principal: string;
}

/** Access log lines by request id. */
export type AccessLog = ReadonlyMap<string, readonly Line[]>;

/** Reads the access log out of everything that the agent wrote. */
export function readAccessLog(output: string): AccessLog {
  const lines = output.split('\n').filter((text) => text.includes('"component":"access"'));
  return Map.groupBy(
    lines.map((text) => JSON.parse(text) as Line),
    (line) => line.request_id,
  );
}

/** Lines of the output that report a failure of the agent itself. */
export function failuresIn(output: string): readonly string[] {
  return output.split('\n').filter((line) => /unhandled|uncaught|"level":"(?:error|fatal)"|^\s+at |Error:/i.test(line));
}

/** Why this request must not have reached the application as it did; undefined: it was evaluated, and is what was evaluated. */
export function disagreement(log: AccessLog, request: Received): string | undefined {
  const { method, target, fields, fault } = request;
  if (fault !== undefined) return `the application reads it as invalid: ${fault}`;
  if (method === '') return 'the application received bytes that are not a request';
  const valueOf = (name: string): string => fields.find(([other]) => other === name)?.[1] ?? '';
  const ids = fields.filter(([name]) => name === 'x-request-id');
  if (ids.length !== 1) return `${ids.length} request ids`;
  const host = valueOf('host');
  const path = target.replace(/[?#].*$/s, '').slice(0, MAX_FIELD);
  const id = (ids[0]?.[1] ?? '').slice(0, MAX_FIELD);
  const lines = log.get(id) ?? [];
  const line = lines.find(
    (one) => one['http.request.method'] === method && one['url.path'] === path && one['server.address'] === host.slice(0, MAX_FIELD),
  );
  if (line === undefined) return `no access log line with its id, method, path and host; with its id: ${JSON.stringify(lines)}`;
  if (line.decision !== 'allow') return `the agent decided ${line.decision}`;
  const names = fields.map(([name]) => name);
  const denied = denial(target, host, names, line.principal);
  return denied === undefined ? undefined : `the policies deny it: ${denied}`;
}
