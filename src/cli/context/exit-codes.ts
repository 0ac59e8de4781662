/*
 * Exit codes of all commands. The numbers follow sysexits.h, as those of istioctl do. Documented in docs/reference/cli.md.
 */

/** Success. */
export const EXIT_OK = 0;
/** A failure that the caller did not cause. */
export const EXIT_FAILURE = 1;
/** The command line is invalid. */
export const EXIT_USAGE = 64;
/** The input cannot be read or parsed. */
export const EXIT_BAD_DATA = 65;
/** `diff`: neither a proof nor a request that disproves it was found. */
export const EXIT_UNDECIDED = 80;
/** The input was read and has findings of severity error. */
export const EXIT_FINDINGS = 79;
