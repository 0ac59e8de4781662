/*
 * `npm run diff:edits [-- REQUESTS [SEEDS]]`: how many one-line edits `sallyport diff --generate` finds, per kind of edit and shape of
 * the JWT rules. Exit code 1 when it misses one.
 */
import { EDITS, editedPrograms, requestsUntilFlip, SHAPES } from '../support/policy-edits.ts';

const [requests = 10_000, seeds = 20] = process.argv.slice(2).map(Number);
let missed = 0;
process.stdout.write(`| edit | ${SHAPES.join(' | ')} |\n| --- |${' --- |'.repeat(SHAPES.length)}\n`);
for (const edit of Object.keys(EDITS)) {
  const cells = SHAPES.map((shape) => {
    const found = Array.from({ length: seeds }, (_, seed) => requestsUntilFlip(editedPrograms(edit, shape, seed + 1), requests, seed + 1));
    const needed = found.filter((count) => count !== undefined);
    missed += found.length - needed.length;
    return `${needed.length} of ${found.length}, at most ${Math.max(0, ...needed)} requests`;
  });
  process.stdout.write(`| ${edit} | ${cells.join(' | ')} |\n`);
}
process.exitCode = missed === 0 ? 0 : 1;
