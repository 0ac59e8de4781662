/*
 * Which header a clause is about.
 */

const START = 'request.headers[';

/** The lower-case name of the header at the end of `path` (`….when[0].request.headers[x-team]`); undefined: it names none. */
export function clauseHeader(path: string): string | undefined {
  if (!path.endsWith(']')) return undefined;
  const lower = path.toLowerCase();
  const start = lower.indexOf(START, lower.lastIndexOf(']', lower.length - 2) + 1);
  return start === -1 ? undefined : lower.slice(start + START.length, -1);
}
