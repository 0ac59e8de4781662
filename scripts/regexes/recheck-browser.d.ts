/*
 * The part of recheck's build in plain JavaScript that is used here; the package has types for its other build only.
 */
declare module 'recheck/lib/browser.js' {
  interface Diagnostics {
    readonly status: 'safe' | 'vulnerable' | 'unknown';
    readonly complexity?: { readonly summary: string };
    readonly error?: { readonly kind: string };
  }
  const recheck: {
    checkSync(source: string, flags: string, parameters: { readonly checker: 'automaton'; readonly timeout: number }): Diagnostics;
  };
  export default recheck;
}
