/*
 * From a watch's bytes to its events. In: the stream of an open watch. Out: one parsed event after the other; a fault
 * when a line is not one. Called by the reflector.
 */
import { isRawObject, type RawObject } from './kube-object.ts';

/** One line of a watch. `ERROR` carries a Status object. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: RawObject;
}

/** A line that is not an event. What was missed is unknown, so only a new list makes the cache right again. */
export class BrokenLineError extends Error {
  override readonly name: string = 'BrokenLineError';
}

/** etcd takes objects up to 1.5 MiB; as JSON with escapes they stay well below this. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);
const NEWLINE = 0x0a;

/**
 * Reads events until the server ends the stream. A last line without its end is a dropped connection: it is left out,
 * since the next watch begins at the event before it.
 * @param onBytes called for each arrival of bytes, also those of a part of a line
 * @throws BrokenLineError; whatever the stream fails with
 */
export async function* readWatchEvents(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<WatchEvent, void, undefined> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of body) {
    onBytes();
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
      rest = [];
      restBytes = 0;
      start = end + 1;
      if (line.trim() !== '') yield parseEvent(line);
    }
    if (start < chunk.length) {
      rest.push(chunk.subarray(start));
      restBytes += chunk.length - start;
      if (restBytes > MAX_LINE_BYTES) throw new BrokenLineError(`a line of the watch is longer than ${MAX_LINE_BYTES} bytes`);
    }
  }
}

function parseEvent(line: string): WatchEvent {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new BrokenLineError('a line of the watch is not JSON');
  }
  const { type, object } = (isRawObject(json) ? json : {}) as { type?: unknown; object?: unknown };
  if (!TYPES.has(type) || !isRawObject(object)) throw new BrokenLineError('a line of the watch is not an event');
  return { type: type as WatchEvent['type'], object };
}
