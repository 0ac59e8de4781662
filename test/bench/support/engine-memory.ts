/*
 * What an index holds: `node test/bench/support/engine-memory.ts RULES`. Out: JSON on stdout. A process of its own, started by the
 * engine's bench, so that its memory is that of the index alone.
 */
import { createEvaluator } from '../../../src/policy/decide/evaluator.ts';
import { build } from './engine-clock.ts';
import { claimsOf, mixedProgram, requestFor, toFacts } from './engine-shapes.ts';

// What runs once is there from then on.
createEvaluator(mixedProgram(100));
const program = mixedProgram(Number(process.argv[2]));
const { made, heapMiB, rssMiB } = build(() => createEvaluator(program));
if (!made.decide(toFacts(requestFor(0), claimsOf(requestFor(0)))).allowed) throw new Error('the first rule does not allow its request');
process.stdout.write(JSON.stringify({ heapMiB, rssMiB }));
