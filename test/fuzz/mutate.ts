/*
 * Mutations of inputs: of bytes for every input, of trees for JSON.
 */
import type { Random } from './random.ts';

/** Maximum length of an input. */
export const MAX_INPUT: number = 64 * 1024;

const BYTES = [
  '\0',
  '\t',
  '\n',
  '\r',
  ' ',
  '"',
  '%',
  '*',
  ',',
  '.',
  '/',
  ':',
  ';',
  '=',
  '?',
  '[',
  '\\',
  ']',
  '{',
  '}',
  '\x7f',
  '\x80',
  '\xff',
];
const NUMBERS = ['0', '-1', '1e400', '9007199254740993', '18446744073709551616', '0.1', '1E2', '00', '4294967295', '2147483648'];
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  1e300,
  '',
  'x',
  '*',
  '\u0000',
  '\ud800',
  '__proto__',
  [],
  {},
  [[]],
  [null],
  ['a', 1],
];
const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', '0', 'length', 'a.b', '\u0000'];

/** One to four small mutations: bytes and pieces inserted, removed, repeated, moved, or exchanged with those of `other`. */
export function mutateText(text: string, random: Random, dictionary: readonly string[], other: string): string {
  let result = text;
  for (let changes = 1 + random.below(4); changes > 0; changes -= 1) result = change(result, random, dictionary, other);
  return result.slice(0, MAX_INPUT);
}

function change(text: string, random: Random, dictionary: readonly string[], other: string): string {
  const at = random.below(text.length + 1);
  const end = Math.min(text.length, at + 1 + random.below(random.next() < 0.8 ? 8 : 200));
  const put = (piece: string, to = at): string => text.slice(0, at) + piece + text.slice(to);
  switch (random.below(10)) {
    case 0:
      return put('', end);
    case 1:
      return put(random.pick(BYTES));
    case 2:
      return put(random.pick(BYTES), at + 1);
    case 3:
      return put(String.fromCharCode(random.below(256)), at + 1);
    case 4:
    case 5:
      return dictionary.length === 0 ? put(random.pick(BYTES)) : put(random.pick(dictionary), random.next() < 0.3 ? end : at);
    case 6:
      return put(text.slice(at, end).repeat(1 + random.below(random.next() < 0.9 ? 4 : 300)));
    case 7:
      return put(random.pick(NUMBERS), end);
    case 8: {
      const from = random.below(other.length + 1);
      return put(other.slice(from, from + random.below(60)), random.next() < 0.5 ? end : at);
    }
    default:
      return put(text.charAt(at) === '' ? 'a' : String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(8))), at + 1);
  }
}

/** The JSON document `text` with one node changed; undefined: it is not JSON. */
export function mutateJson(text: string, random: Random, dictionary: readonly string[]): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The bytes can still be mutated.
    return undefined;
  }
  const places: (readonly [Record<string, unknown>, string])[] = [];
  collect({ '': value }, places, 0);
  const [holder, name] = random.pick(places);
  const current = holder[name];
  switch (random.below(6)) {
    case 0:
      holder[name] = random.pick(VALUES);
      break;
    case 1:
      delete holder[name];
      break;
    case 2:
      holder[name] = typeof current === 'string' && random.next() < 0.5 ? current + random.pick(dictionary) : random.pick(dictionary);
      break;
    case 3:
      if (!Array.isArray(holder)) rename(holder, random.pick([...NAMES, ...dictionary]), current);
      break;
    case 4: {
      const [other, at] = random.pick(places);
      holder[name] = structuredClone(other[at]);
      break;
    }
    default:
      holder[name] = random.next() < 0.5 ? [current, current] : { [random.pick(NAMES)]: current };
  }
  const changed = JSON.stringify(places[0]?.[0]['']) as string | undefined;
  if (changed === undefined) return '';
  return random.next() < 0.1 ? changed.replace('{', () => `{${JSON.stringify(name)}:1,`) : changed;
}

/** Adds a member, even one with the name `__proto__`. */
function rename(holder: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
}

function collect(holder: Record<string, unknown>, places: (readonly [Record<string, unknown>, string])[], depth: number): void {
  for (const name of Object.keys(holder)) {
    places.push([holder, name]);
    const value = holder[name];
    if (typeof value === 'object' && value !== null && depth < 50) collect(value as Record<string, unknown>, places, depth + 1);
  }
}
