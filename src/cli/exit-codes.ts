/*
 * Exit codes of every command, in the scheme of sysexits.h that istioctl uses too. Documented in docs/reference/cli.md.
 */

export const EXIT_OK = 0;
/** Something failed that is not the caller's fault. */
export const EXIT_FAILURE = 1;
/** The command line is wrong. */
export const EXIT_USAGE = 64;
/** The input cannot be read or parsed. */
export const EXIT_BAD_DATA = 65;
/** The input was read, and findings of severity error are in it. */
export const EXIT_FINDINGS = 79;
