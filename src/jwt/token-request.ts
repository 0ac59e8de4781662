/*
 * What token handling reads and changes of a request: a working copy made by request preparation. In: nothing. Out: the
 * type, and the edits on its flat header list that several files here share.
 */

/** A prepared request under judgement; the judge forwards what is left of it. */
export interface TokenRequest {
  readonly method: string;
  readonly scheme: string;
  readonly host: string;
  /** Normalised path with query. */
  target: string;
  /** Flat list name, value … with lower-case names. */
  headers: string[];
}

/** The first value of header `name` (lower case), or `undefined`. */
export function firstHeader(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] === name) {
      return headers[index + 1];
    }
  }
  return undefined;
}

/** Removes in place every header for whose name `isDropped` is true. */
export function removeHeaders(headers: string[], isDropped: (name: string) => boolean): void {
  let kept = 0;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (isDropped(name)) {
      continue;
    }
    if (kept !== index) {
      headers[kept] = name;
      headers[kept + 1] = headers[index + 1] ?? '';
    }
    kept += 2;
  }
  headers.length = kept;
}

/** Removes in place every header `name` (lower case). */
export function removeHeader(headers: string[], name: string): void {
  removeHeaders(headers, (current) => current === name);
}
