/*
 * Compiles a provider's header name patterns.
 * @see istio.io/api mesh/v1alpha1/config.proto, EnvoyExternalAuthorizationHttpProvider
 */

/** Tests a header name (lower case). */
export type NameTest = (name: string) => boolean;

/**
 * A test for names that match one of `patterns`: exact, `prefix*` or `*suffix`, case-insensitive. A bare `*` matches nothing.
 * Absent or empty: undefined.
 */
export function compileNames(patterns: readonly string[] | undefined): NameTest | undefined {
  if (patterns === undefined || patterns.length === 0) return undefined;
  const tests = patterns.map((pattern) => testOf(pattern.toLowerCase()));
  return (name) => tests.some((test) => test(name));
}

function testOf(pattern: string): NameTest {
  if (pattern === '*') return () => false;
  if (pattern.endsWith('*')) {
    const prefix = pattern.slice(0, -1);
    return (name) => name.startsWith(prefix);
  }
  if (pattern.startsWith('*')) {
    const suffix = pattern.slice(1);
    return (name) => name.endsWith(suffix);
  }
  return (name) => name === pattern;
}
