/*
 * Header fields of an HTTP message as one flat array, and the operations on it. A flat array keeps order and repeated names,
 * costs one allocation a message, and is what the codecs read and write.
 *
 * Names are compared as they stand. Every list that went through `normalize/` has lower-case names; lists straight from a
 * codec do not (see {@link lowerCaseNames}). Values are byte strings: one character (U+0000-U+00FF) per byte on the wire.
 * Code on the request path steps through a list by two instead of calling back or allocating pairs.
 */

/** Name, value, name, value …; always an even number of strings. */
export type HeaderList = readonly string[];

/** A {@link HeaderList} that its owner edits in place. */
export type MutableHeaderList = string[];

/** The empty list. */
export const NO_HEADERS: HeaderList = Object.freeze([]);

/** Value of the first header `name`; `undefined` when absent. */
export function firstHeader(headers: HeaderList, name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] === name) return headers[at + 1];
  }
  return undefined;
}

/** Values of every header `name` in order; a shared empty array when absent. */
export function headerValues(headers: HeaderList, name: string): readonly string[] {
  let first: string | undefined;
  let all: string[] | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] !== name) continue;
    const value = headers[at + 1] as string;
    if (first === undefined) first = value;
    else if (all === undefined) all = [first, value];
    else all.push(value);
  }
  return all ?? (first === undefined ? NO_HEADERS : [first]);
}

/** Is there a header `name`? */
export function hasHeader(headers: HeaderList, name: string): boolean {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] === name) return true;
  }
  return false;
}

/** Removes every header `name`, then adds one at the end. */
export function setHeader(headers: MutableHeaderList, name: string, value: string): void {
  removeHeader(headers, name);
  headers.push(name, value);
}

/** Overwrites the value of the first header `name` where it stands; adds the header at the end when absent. */
export function replaceHeader(headers: MutableHeaderList, name: string, value: string): void {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] === name) {
      headers[at + 1] = value;
      return;
    }
  }
  headers.push(name, value);
}

/** Joins `value` to the first header `name` with a comma; does nothing when the header is absent. */
export function appendToHeader(headers: MutableHeaderList, name: string, value: string): void {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] === name) {
      headers[at + 1] = `${headers[at + 1] as string},${value}`;
      return;
    }
  }
}

/** Removes every header `name` in place. */
export function removeHeader(headers: MutableHeaderList, name: string): void {
  let kept = 0;
  for (let at = 0; at < headers.length; at += 2) {
    const current = headers[at] as string;
    if (current === name) continue;
    if (kept !== at) {
      headers[kept] = current;
      headers[kept + 1] = headers[at + 1] as string;
    }
    kept += 2;
  }
  headers.length = kept;
}

/** Removes in place every header whose name satisfies `isRemoved`. */
export function removeHeadersWhere(headers: MutableHeaderList, isRemoved: (name: string) => boolean): void {
  let kept = 0;
  for (let at = 0; at < headers.length; at += 2) {
    const current = headers[at] as string;
    if (isRemoved(current)) continue;
    if (kept !== at) {
      headers[kept] = current;
      headers[kept + 1] = headers[at + 1] as string;
    }
    kept += 2;
  }
  headers.length = kept;
}

/** A new list of the headers whose name satisfies `isKept`. */
export function selectHeaders(headers: HeaderList, isKept: (name: string) => boolean): MutableHeaderList {
  const selected: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (isKept(name)) selected.push(name, headers[at + 1] as string);
  }
  return selected;
}

/** A new list with every name in lower case. */
export function lowerCaseNames(headers: HeaderList): MutableHeaderList {
  return headers.map((part, at) => (at % 2 === 0 ? part.toLowerCase() : part));
}

/** The list as pairs of name and value; allocates, so not for the request path. */
export function headerPairs(headers: HeaderList): readonly (readonly [name: string, value: string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let at = 0; at < headers.length; at += 2) pairs.push([headers[at] as string, headers[at + 1] as string]);
  return pairs;
}
