/*
 * Measures the work of growth cases in a worker, which has its own block counts. Receives names of cases and returns for each the
 * work at its size and at four times that size.
 */
import { parentPort } from 'node:worker_threads';
import { Coverage } from '../../fuzz/coverage.ts';
import { GROWTH_CASES } from './growth-cases.ts';

/** Number of blocks of files in src/ that were entered. */
export interface Growth {
  readonly name: string;
  readonly small: number;
  readonly large: number;
}

const coverage = new Coverage();

function workOf(step: () => unknown): number {
  coverage.takeWork();
  step();
  return coverage.takeWork();
}

parentPort?.on('message', (name: string) => {
  const found = GROWTH_CASES[name];
  if (found === undefined) throw new Error(`no case is called ${name}`);
  const growth: Growth = { name, small: workOf(found.prepare(found.size)), large: workOf(found.prepare(found.size * 4)) };
  parentPort?.postMessage(growth);
});
