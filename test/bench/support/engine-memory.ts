/*
 * What the first index of a process takes, and what it holds: `node test/bench/support/engine-memory.ts RULES`. Out: JSON on stdout.
 * A process of its own, started by the engine's bench, so that its memory is that of the index alone and none of its code is
 * compiled before.
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
