/*
 * Parses the byte stream of a watch into events.
 */
import { isRawObject, type RawObject } from './kube-object.ts';

/** One event of a watch. The object of `ERROR` is a Status. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: RawObject;
}

/** A line that is not a valid event. Events may have been missed, so only a new list restores the cache. */
export class BrokenLineError extends Error {
  override readonly name: string = 'BrokenLineError';
}

/** etcd stores objects up to 1.5 MiB; escaped JSON of that size stays well below this limit. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);
const NEWLINE = 0x0a;

/**
 * Yields events until the server ends the stream. An incomplete last line means a dropped connection and is ignored, because
 * the next watch starts after the previous event.
 * @param onBytes called for each received chunk, even if it is only part of a line
 * @throws BrokenLineError for an invalid event; the error of the stream if it fails
 */
export async function* readWatchEvents(body: AsyncIterable<Uint8Array>, onBytes: () => void): AsyncGenerator<WatchEvent, void, undefined> {
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
      if (restBytes > MAX_LINE_BYTES) throw new BrokenLineError(`a watch event is longer than ${MAX_LINE_BYTES} bytes`);
    }
  }
}

function parseEvent(line: string): WatchEvent {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new BrokenLineError('a watch event is not JSON');
  }
  const { type, object } = (isRawObject(json) ? json : {}) as { type?: unknown; object?: unknown };
  if (!TYPES.has(type) || !isRawObject(object)) throw new BrokenLineError('a watch event has no known type or no object');
  return { type: type as WatchEvent['type'], object };
}
