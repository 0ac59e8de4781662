/*
 * `npm run prove:model [-- PAIRS REQUESTS SEED]`: compares proofs with brute force over pairs of small programs, with requests with tokens
 * to the whole filter chain, and with random requests to large programs. Exit code 1 at the first contradiction.
 */
import fc from 'fast-check';
import { contradictionOf, modelPair } from '../support/analysis-model.ts';
import { randomContradiction } from '../support/proof-requests.ts';
import { tokenContradictionOf, tokenPair } from '../support/token-model.ts';

/** Both kinds of pairs take turns, so that a fault of either is found early. */
const ROUNDS = 10;

const [pairs = 20_000, requests = 1_000_000, seed = 1] = process.argv.slice(2).map(Number);
// A pair with tokens costs more than ten of the others: its requests go through the whole filter chain.
const tokenPairs = Math.ceil(pairs / 10);

function failureOf<T>(
  pair: fc.Arbitrary<T>,
  contradictionIn: (pair: T) => string | undefined,
  numRuns: number,
  round: number,
): string | undefined {
  const result = fc.check(
    fc.property(pair, (one) => {
      const found = contradictionIn(one);
      if (found !== undefined) throw new Error(found);
    }),
    { numRuns, seed: seed * ROUNDS + round },
  );
  return result.failed ? fc.defaultReportMessage(result) : undefined;
}

function contradiction(): string | undefined {
  for (let round = 0; round < ROUNDS; round++) {
    const found =
      failureOf(modelPair, contradictionOf, Math.ceil(pairs / ROUNDS), round) ??
      failureOf(tokenPair, (pair) => tokenContradictionOf(pair), Math.ceil(tokenPairs / ROUNDS), round);
    if (found !== undefined) return found;
  }
  return randomContradiction({ rules: 60, requests, seed });
}

const found = contradiction();
process.stdout.write(
  found === undefined ? `${pairs} pairs, ${tokenPairs} with tokens, and ${requests} random requests: no contradiction\n` : `${found}\n`,
);
process.exitCode = found === undefined ? 0 : 1;
