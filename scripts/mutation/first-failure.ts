/*
 * Loaded before the tests of a mutant: properties get the same examples in every run, and a counterexample is not made smaller, which takes long.
 */
import fc from 'fast-check';

fc.configureGlobal({ endOnFailure: true, seed: 1 });
