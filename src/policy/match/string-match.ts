/*
 * Istio's string matches: exact, `prefix*`, `*suffix`, `*`.
 */
import type { StringMatch } from '../model/program.ts';

/** A compiled test on one string. */
export type StringTest = (value: string) => boolean;

/**
 * Parses a value of a policy. A leading `*` takes precedence, so `*x*` means "ends with `x*`"; any other `*` is literal.
 * @example parseStringMatch('/info*') // { kind: 'prefix', value: '/info' }
 */
export function parseStringMatch(text: string): StringMatch {
  if (text === '*') return { kind: 'present' };
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1) };
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1) };
  return { kind: 'exact', value: text };
}

/** What `*` requires of a value: presence (hosts, headers), or one or more characters on one line. */
export type PresentMeaning = 'any' | 'non-empty';

/** Compiles a case-sensitive match. */
export function compileStringMatch(match: StringMatch, present: PresentMeaning): StringTest {
  switch (match.kind) {
    case 'exact': {
      const wanted = match.value;
      return (value) => value === wanted;
    }
    case 'prefix': {
      const wanted = match.value;
      return (value) => value.startsWith(wanted);
    }
    case 'suffix': {
      const wanted = match.value;
      return (value) => value.endsWith(wanted);
    }
    case 'present':
      return present === 'any' ? () => true : isNonEmptyLine;
  }
}

/** Istio translates `*` to the regular expression `.+`, whose dot does not match a newline. */
function isNonEmptyLine(value: string): boolean {
  return value !== '' && !value.includes('\n');
}

/** Converts ASCII letters to lower case and leaves every other character unchanged. */
export function asciiLowerCase(text: string): string {
  let hasUpper = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return Array.from(text, (character) => (character > '\u007f' ? character : character.toLowerCase())).join('');
    if (code >= 65 && code <= 90) hasUpper = true;
  }
  // Most hosts are in lower case already.
  return hasUpper ? text.toLowerCase() : text;
}

const ASCII = /^[\0-\x7f]*$/;

/**
 * Converts a string of a policy to the form of request heads: one character per byte of its UTF-8 encoding. Request heads are byte
 * strings, policies are Unicode.
 */
export function toByteString(text: string): string {
  if (ASCII.test(text)) return text;
  let bytes = '';
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    bytes += code < 128 ? character : utf8Bytes(code);
  }
  return bytes;
}

function utf8Bytes(code: number): string {
  const tail = (shift: number): number => 128 | ((code >> shift) & 63);
  if (code < 0x800) return String.fromCharCode(192 | (code >> 6), tail(0));
  if (code < 0x10000) return String.fromCharCode(224 | (code >> 12), tail(6), tail(0));
  return String.fromCharCode(240 | (code >> 18), tail(12), tail(6), tail(0));
}

/** The match with its value as a byte string. */
export function toByteMatch(match: StringMatch): StringMatch {
  return match.kind === 'present' ? match : { kind: match.kind, value: toByteString(match.value) };
}

/** Decodes a byte string of a request as UTF-8; returns it unchanged if it is not valid UTF-8. */
export function fromByteString(bytes: string): string {
  if (ASCII.test(bytes)) return bytes;
  const text = new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
  return text.includes('\ufffd') ? bytes : text;
}
