/*
 * Counts in words.
 */

/** `1 thing`, `2 things`. @param many plural form, if it is not the noun with an s */
export function plural(count: number, noun: string, many: string = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`;
}
