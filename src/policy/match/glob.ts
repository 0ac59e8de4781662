/*
 * Patterns in which each `*` stands for any characters, wherever it is.
 */

/** Whether `value` matches `glob`. Linear, because neither is trusted. */
export function matchesGlob(glob: string, value: string): boolean {
  const parts = glob.split('*');
  const [first, last] = [parts[0] as string, parts.at(-1) as string];
  if (parts.length === 1) return glob === value;
  if (!value.startsWith(first) || !value.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = value.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= value.length - last.length;
}
