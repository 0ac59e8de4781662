/*
 * Matches on the identity of a peer (SPIFFE URI SAN, DNS SAN or Subject). The tests have the meaning of the regular expressions that
 * Istio generates and run in linear time.
 * @see istio pilot/pkg/security/authz/model/generator.go
 */
import type { IdentityMatch } from '../model/program.ts';
import { compileStringMatch, type StringTest } from './string-match.ts';

const SCHEME = 'spiffe://';

/** A test on one identity. */
export function compileIdentityMatch(match: IdentityMatch): StringTest {
  switch (match.kind) {
    case 'spiffeSuffix':
      return compileSpiffeSuffix(match.value);
    case 'namespace':
      return compileNamespace(match.pattern);
    case 'serviceAccount':
      return compileServiceAccount(match.namespace, match.name);
    case 'trustDomain':
      return compileTrustDomain(match.prefix, match.suffix);
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'present':
      return compileStringMatch(match, 'non-empty');
  }
}

/** `spiffe://.*` + suffix; the dot stops at a newline. */
function compileSpiffeSuffix(suffix: string): StringTest {
  const shortest = SCHEME.length + suffix.length;
  return (identity) =>
    identity.length >= shortest &&
    identity.startsWith(SCHEME) &&
    identity.endsWith(suffix) &&
    !identity.slice(0, identity.length - suffix.length).includes('\n');
}

/** `.*\/ns/N/.*` with each `*` of N as `.*`: the pieces must follow each other on one line. */
function compileNamespace(pattern: string): StringTest {
  const pieces = `/ns/${pattern}/`.split('*');
  return (identity) => {
    if (identity.includes('\n')) return false;
    let at = 0;
    for (const piece of pieces) {
      const found = identity.indexOf(piece, at);
      if (found === -1) return false;
      at = found + piece.length;
    }
    return true;
  };
}

/** `spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?`: testing the first `/ns/NS/` is enough, because a later one can be part of what follows. */
function compileServiceAccount(namespace: string, name: string): StringTest {
  const ns = `/ns/${namespace}/`;
  const sa = `sa/${name}`;
  return (identity) => {
    if (!identity.startsWith(SCHEME) || identity.includes('\n')) return false;
    const found = identity.indexOf(ns, SCHEME.length + 1);
    if (found === -1) return false;
    const start = found + ns.length;
    for (let at = identity.indexOf(sa, start); at !== -1; at = identity.indexOf(sa, at + 1)) {
      if (startsWhole(identity, start, at) && endsWhole(identity, at + sa.length)) return true;
    }
    return false;
  };
}

/** Is `at` directly at `start`, or after one or more characters and a slash? */
function startsWhole(identity: string, start: number, at: number): boolean {
  return at === start || (identity[at - 1] === '/' && at - 1 > start);
}

/** Is `at` the end, or followed by a slash and more? */
function endsWhole(identity: string, at: number): boolean {
  return at === identity.length || (identity[at] === '/' && at + 1 < identity.length);
}

/** `spiffe://` + prefix + `[^/]*` + suffix + `/.*`. */
function compileTrustDomain(prefix: string, suffix: string): StringTest {
  const begin = SCHEME + prefix;
  const end = `${suffix}/`;
  const firstSegment = end.indexOf('/');
  return (identity) => {
    if (!identity.startsWith(begin)) return false;
    const at = identity.indexOf('/', begin.length) - firstSegment;
    return at >= begin.length && identity.startsWith(end, at) && !identity.includes('\n', at + end.length);
  };
}
