/*
 * `node test/bench/prove.ts [SIZES]`: how long a proof takes, by number of rules, change and shape of the rules. One core, without
 * start-up. The time of building both engines, which a proof includes, is shown apart.
 */
import { performance } from 'node:perf_hooks';
import { comparePrograms } from '../../src/analysis/compare-programs.ts';
import { createEvaluator } from '../../src/policy/decide/evaluator.ts';
import type { Program } from '../../src/policy/model/program.ts';
import { PROOF_CHANGES, PROOF_SHAPES, proofPrograms } from '../support/proof-programs.ts';

const TIMEOUT_MS = 60_000;
const sizes = (process.argv[2] ?? '1,10,100,1000,10000').split(',').map(Number);

function timed<T>(run: () => T): readonly [T, number] {
  const start = performance.now();
  const result = run();
  return [result, performance.now() - start];
}

function prove(before: Program, after: Program): string {
  const end = performance.now() + TIMEOUT_MS;
  const { widened, narrowed } = comparePrograms(before, after, {
    protocol: 'http',
    isOver: () => performance.now() > end,
    confirm: () => true,
  });
  return `${widened.kind}/${narrowed.kind}`;
}

process.stdout.write(
  '| shape | rules | change | widened/narrowed | engines ms | proof ms | heap MiB |\n| --- | --- | --- | --- | --- | --- | --- |\n',
);
for (const shape of PROOF_SHAPES) {
  for (const size of sizes) {
    for (const change of PROOF_CHANGES) {
      const [before, after] = proofPrograms(shape, size, change);
      const [, engines] = timed(() => [createEvaluator(before), createEvaluator(after)]);
      const [answer, proof] = timed(() => prove(before, after));
      const heap = process.memoryUsage().heapUsed / 1024 / 1024;
      process.stdout.write(
        `| ${shape} | ${size} | ${change} | ${answer} | ${engines.toFixed(0)} | ${proof.toFixed(0)} | ${heap.toFixed(0)} |\n`,
      );
    }
  }
}
