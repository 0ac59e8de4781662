/*
 * `npm run prove:model [-- PAIRS REQUESTS SEED]`: compares proofs with brute force over pairs of small programs, and with random requests
 * to large ones. Exit code 1 at the first contradiction.
 */
import fc from 'fast-check';
import { contradictionOf, modelPair } from '../support/analysis-model.ts';
import { randomContradiction } from '../support/proof-requests.ts';

const [pairs = 20_000, requests = 1_000_000, seed = 1] = process.argv.slice(2).map(Number);

const result = fc.check(
  fc.property(modelPair, (pair) => {
    const found = contradictionOf(pair);
    if (found !== undefined) throw new Error(found);
  }),
  { numRuns: pairs, seed },
);
const contradiction = result.failed ? fc.defaultReportMessage(result) : randomContradiction({ rules: 60, requests, seed });
process.stdout.write(
  contradiction === undefined ? `${pairs} pairs and ${requests} random requests: no contradiction\n` : `${contradiction}\n`,
);
process.exitCode = contradiction === undefined ? 0 : 1;
