/*
 * Measures the first index of a process: `node test/bench/support/engine-memory.ts RULES` prints JSON. The engine benchmark runs it in a
 * separate process, so that the memory is that of the index alone and no code is compiled beforehand.
 */
import { createEvaluator } from '../../../src/policy/decide/evaluator.ts';
import { build } from './engine-clock.ts';
import { claimsOf, mixedProgram, requestFor, toFacts } from './engine-shapes.ts';

const program = mixedProgram(Number(process.argv[2]));
let firstMs = 0;
const { made, heapMiB, rssMiB } = build(() => {
  const began = performance.now();
  const evaluator = createEvaluator(program);
  firstMs = performance.now() - began;
  return evaluator;
});
if (!made.decide(toFacts(requestFor(0), claimsOf(requestFor(0)))).allowed) throw new Error('the first rule does not allow its request');
process.stdout.write(JSON.stringify({ firstMs, heapMiB, rssMiB }));
