/*
 * Lines of the access log of the agent in a pod, as the API server streams them.
 */
import { AGENT_CONTAINER } from '../../api/kube/agent-contract.ts';
import type { SlimPod } from '../../api/kube/slim.ts';
import type { KubeClient } from '../../cluster/client.ts';
import { MAX_SILENCE_MS, readPodLog } from './pod-log.ts';

/** Which lines to read. */
export interface LogRange {
  readonly follow: boolean;
  /** Only lines of the last N seconds; undefined: all. */
  readonly sinceSeconds: number | undefined;
}

/** A line of an access log. */
export interface LogEntry {
  readonly pod: string;
  /** As the agent wrote it. */
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The agent cuts its fields, so that a line is much shorter. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Yields the lines of the access log, until there are no more or `signal` is aborted. Other lines of the agent are left out. @throws like {@link readPodLog} */
export async function* readAgentLog(
  client: KubeClient,
  pod: Pick<SlimPod, 'namespace' | 'name'>,
  { follow, sinceSeconds }: LogRange,
  signal: AbortSignal,
): AsyncGenerator<LogEntry, void, undefined> {
  const query = { container: AGENT_CONTAINER, follow, sinceSeconds };
  const bytes = readPodLog(client, { pod, query, maxSilenceMs: follow ? undefined : MAX_SILENCE_MS }, signal);
  for await (const text of linesOf(bytes)) {
    const fields = accessFields(text);
    if (fields !== undefined) yield { pod: pod.name, text, fields };
  }
}

/** The lines of a stream; longer ones are left out. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  const take = (last: Uint8Array): string => {
    const line = restBytes + last.length > MAX_LINE_BYTES ? '' : Buffer.concat([...rest, last]).toString('utf8');
    rest = [];
    restBytes = 0;
    return line;
  };
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield take(chunk.subarray(start, end));
      start = end + 1;
    }
    restBytes += chunk.length - start;
    if (restBytes <= MAX_LINE_BYTES) rest.push(chunk.subarray(start));
    else rest = [];
  }
  if (restBytes > 0) yield take(new Uint8Array());
}

function accessFields(line: string): LogEntry['fields'] | undefined {
  if (!line.includes('"component":"access"')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as LogEntry['fields']) : undefined;
  } catch {
    return undefined;
  }
}
