/*
 * The canonical form of a URL path: dot segments resolved, unnecessary escapes decoded, unsafe bytes escaped. Linear time.
 * @see Chromium's url library (path canonicalization), which Envoy uses
 */

const SLASH = 47;
const BACKSLASH = 92;
const DOT = 46;
const PERCENT = 37;
const TWO = 50;
const FIVE = 53;
const HEX_DIGITS = '0123456789ABCDEF';
/** Number of arguments of one call of `String.fromCharCode`. */
const CHUNK = 4096;

/** Copied; an escape of it is decoded. */
const PLAIN: Uint8Array = tableOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~');
/** Copied as sent, escaped or not. */
const KEPT: Uint8Array = tableOf("!$&'()*+,/:;=@[]");

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

interface Run {
  readonly path: string;
  readonly out: number[];
  /** Index in `out` of the last `%` that did not begin a valid escape; -1: none that still matters. */
  stray: number;
}

/** Canonical form of a path without query that begins with `/`; `undefined` when it contains a NUL, raw or escaped. */
export function canonicalizePath(path: string): string | undefined {
  const run: Run = { path, out: [], stray: -1 };
  let i = 0;
  while (i < path.length) {
    const next = isDotAt(path, i) ? takeDot(run, i) : takeByte(run, i);
    if (next === -1) return undefined;
    i = next;
  }
  return stringOf(run.out);
}

function stringOf(codes: readonly number[]): string {
  let path = '';
  for (let i = 0; i < codes.length; i += CHUNK) path += String.fromCharCode(...codes.slice(i, i + CHUNK));
  return path;
}

function isDotAt(path: string, at: number): boolean {
  return dotLength(path, at) > 0;
}

/** 1 for `.`, 3 for `%2e` in any case, 0 for anything else. */
function dotLength(path: string, at: number): number {
  const code = path.charCodeAt(at);
  if (code === DOT) return 1;
  if (code !== PERCENT || path.charCodeAt(at + 1) !== TWO) return 0;
  const last = path.charCodeAt(at + 2);
  return last === 101 || last === 69 ? 3 : 0;
}

function isEndOfSegment(path: string, at: number): boolean {
  if (at >= path.length) return true;
  const code = path.charCodeAt(at);
  return code === SLASH || code === BACKSLASH;
}

/** A dot is special only as the first byte of a segment. @returns the index to continue from */
function takeDot(run: Run, at: number): number {
  const { path, out } = run;
  const afterDot = at + dotLength(path, at);
  if (out.at(-1) !== SLASH) {
    out.push(DOT);
    return afterDot;
  }
  if (isEndOfSegment(path, afterDot)) return afterDot + 1;
  const second = dotLength(path, afterDot);
  if (second > 0 && isEndOfSegment(path, afterDot + second)) {
    backUp(run);
    return afterDot + second + 1;
  }
  out.push(DOT);
  return afterDot;
}

/** Removes the last segment from the output, never the first slash. */
function backUp(run: Run): void {
  const { out } = run;
  if (out.length <= 1) return;
  let i = out.length - 2;
  while (i > 0 && out[i] !== SLASH) i--;
  out.length = i + 1;
  if (run.stray >= out.length) run.stray = -1;
}

/** @returns the index to continue from; -1: NUL */
function takeByte(run: Run, at: number): number {
  const { path, out } = run;
  const code = path.charCodeAt(at);
  if (code === 0) return -1;
  if (code === PERCENT) return takePercent(run, at);
  if (PLAIN[code] === 1 || KEPT[code] === 1) out.push(code);
  else if (code === BACKSLASH) out.push(SLASH);
  else out.push(PERCENT, HEX_DIGITS.charCodeAt((code >> 4) & 15), HEX_DIGITS.charCodeAt(code & 15));
  return at + 1;
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const upper = code & ~32;
  return upper >= 65 && upper <= 70 ? upper - 55 : -1;
}

/** Value of the two hex digits; -1 if one of them is not a hex digit. */
function escapeValue(high: number, low: number): number {
  const left = hexValue(high);
  const right = hexValue(low);
  return left === -1 || right === -1 ? -1 : left * 16 + right;
}

function takePercent(run: Run, at: number): number {
  const { path, out } = run;
  const value = escapeValue(path.charCodeAt(at + 1), path.charCodeAt(at + 2));
  if (value === 0) return -1;
  if (value === -1) {
    run.stray = out.length;
    out.push(PERCENT);
    return at + 1;
  }
  if (PLAIN[value] !== 1) {
    out.push(PERCENT, path.charCodeAt(at + 1), path.charCodeAt(at + 2));
    return at + 3;
  }
  out.push(value);
  if (run.stray !== -1 && run.stray + 3 >= out.length) guardStrayPercent(run, at + 3);
  return at + 3;
}

/**
 * A decoded byte may turn a stray `%` before it into a valid escape (`%%41%42` must not become `%AB`): that `%` is then
 * written `%25`.
 */
function guardStrayPercent(run: Run, next: number): void {
  const { path, out, stray } = run;
  const first = out[stray + 1] as number;
  const second = stray === out.length - 2 ? path.charCodeAt(next) : (out[stray + 2] as number);
  if (escapeValue(first, second) !== -1) out.splice(stray + 1, 0, TWO, FIVE);
}
