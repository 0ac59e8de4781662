/*
 * Guesses at the mistake behind a clause that did not match: case, a slash too many, a port, a scheme. In: a clause and the
 * values it saw. Out: one sentence, or nothing. Used by `hintFor`.
 */
import type { Clause, StringMatch } from '../model/program.ts';

/** Exact texts that the clause would have taken, each with how to call the difference. */
function exactTexts(clause: Clause): readonly string[] {
  switch (clause.attribute) {
    case 'host':
    case 'method':
    case 'sni':
    case 'header':
    case 'claim':
    case 'metadata':
    case 'path':
    case 'peer':
      return (clause.anyOf ?? []).flatMap((match) => (match.kind === 'exact' ? [match.value] : []));
    case 'requestPrincipal':
      return (clause.anyOf ?? []).flatMap(({ iss, sub }) => (isExact(iss) && isExact(sub) ? [`${iss.value}/${sub.value}`] : []));
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
    case 'destinationPort':
      return [];
  }
}

function isExact(match: StringMatch): match is { readonly kind: 'exact'; readonly value: string } {
  return match.kind === 'exact';
}

function issuerSlash(clause: Clause, saw: string): string | undefined {
  if (clause.attribute !== 'requestPrincipal') return undefined;
  const at = saw.lastIndexOf('/');
  const iss = saw.slice(0, at);
  for (const { iss: wanted } of clause.anyOf ?? []) {
    if (!isExact(wanted)) continue;
    if (iss === `${wanted.value}/`) return `iss ends in /, the policy says ${wanted.value}`;
    if (`${iss}/` === wanted.value) return `iss does not end in /, the policy says ${wanted.value}`;
  }
  return undefined;
}

function difference(clause: Clause, saw: string, wanted: string): string | undefined {
  if (clause.attribute !== 'host' && saw.toLowerCase() === wanted.toLowerCase()) return `differs only in case from ${wanted}`;
  if (saw.trim() === wanted.trim()) return `differs only in blanks from ${wanted}`;
  if (clause.attribute === 'host' && saw.toLowerCase().startsWith(`${wanted.toLowerCase()}:`)) {
    return `hosts are compared with the port: add ${wanted}:*`;
  }
  if (`${saw}/` === wanted || saw === `${wanted}/`) return `differs only in a slash at the end from ${wanted}`;
  return undefined;
}

/** The nearest miss among the values seen and the exact values wanted. */
export function nearMiss(clause: Clause, values: readonly string[]): string | undefined {
  for (const saw of values) {
    const slash = issuerSlash(clause, saw);
    if (slash !== undefined) return slash;
    for (const wanted of exactTexts(clause)) {
      const found = difference(clause, saw, wanted);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
