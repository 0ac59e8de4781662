/*
 * The seed of all tests that generate their inputs. It is fixed, so that a run of the tests depends on the tree alone; SALLYPORT_SEED is another
 * one, or `random`: a new one, which is printed. Mocha loads this file first.
 */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';

const FIXED = 1;

function readSeed(text: string | undefined): number {
  if (text === undefined || text === '') return FIXED;
  if (text === 'random') {
    const drawn = randomInt(2 ** 31);
    process.stdout.write(`SALLYPORT_SEED=${drawn}\n`);
    return drawn;
  }
  const seed = Number(text);
  if (!Number.isSafeInteger(seed)) throw new Error(`SALLYPORT_SEED: ${text} is neither an integer nor random`);
  return seed;
}

/** An integer. */
export const SEED: number = readSeed(process.env['SALLYPORT_SEED']);

fc.configureGlobal({ seed: SEED });
