/*
 * Reads the requests that the API server refused from its audit log, which a cluster started with `audit: true` writes. Used
 * to check the roles of the chart.
 */
import { readFile, writeFile } from 'node:fs/promises';

/** One request that the API server refused. */
export interface RefusedRequest {
  /** e.g. `system:serviceaccount:sallyport-system:sallyport-controller` */
  readonly user: string;
  readonly verb: string;
  readonly uri: string;
  /** 401 or 403 */
  readonly code: number;
}

interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly user?: { readonly username?: string };
  readonly responseStatus?: { readonly code?: number };
}

const WRITES: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Writes of one user since a date (milliseconds since 1970), in order, as `<verb> <uri>`. */
export async function writesOf(auditLogPath: string, user: string, sinceMs: number): Promise<readonly string[]> {
  return (await readEvents(auditLogPath))
    .filter((event) => event.user?.username === user && WRITES.has(event.verb) && Date.parse(event.requestReceivedTimestamp) >= sinceMs)
    .map((event) => `${event.verb} ${event.requestURI}`);
}

/** Requests answered with 401 or 403, in order. */
export async function refusedRequests(auditLogPath: string): Promise<readonly RefusedRequest[]> {
  return (await readEvents(auditLogPath))
    .filter((event) => event.responseStatus?.code === 401 || event.responseStatus?.code === 403)
    .map((event) => ({
      user: event.user?.username ?? '',
      verb: event.verb,
      uri: event.requestURI,
      code: event.responseStatus?.code ?? 0,
    }));
}

async function readEvents(auditLogPath: string): Promise<readonly AuditEvent[]> {
  const lines = (await readFile(auditLogPath, 'utf8')).split('\n').filter((line) => line.endsWith('}'));
  return lines.map((line) => JSON.parse(line) as AuditEvent);
}

/** Writes the audit policy (who did what, without bodies) and gives the API server's flags for it. */
export async function auditFlags(policyPath: string, logPath: string): Promise<readonly string[]> {
  const policy = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules: [{ level: 'Metadata' }] };
  await writeFile(policyPath, JSON.stringify(policy));
  return [`--audit-policy-file=${policyPath}`, `--audit-log-path=${logPath}`];
}
