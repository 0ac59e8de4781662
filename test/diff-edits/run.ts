/*
 * `npm run diff:edits [-- REQUESTS [SEEDS]]`: how many one-line edits `sallyport diff` proves to change decisions, and how many
 * `sallyport diff --generate` finds, per kind of edit and shape of the JWT rules. Exit code 1 when one of them misses an edit.
 */
import { EDITS, editedPrograms, proofOfEdit, requestsUntilFlip, SHAPES } from '../support/policy-edits.ts';

const [requests = 10_000, seeds = 20] = process.argv.slice(2).map(Number);
let missed = 0;
process.stdout.write(`| edit | ${SHAPES.join(' | ')} |\n| --- |${' --- |'.repeat(SHAPES.length)}\n`);
for (const edit of Object.keys(EDITS)) {
  const cells = SHAPES.map((shape) => {
    const pairs = Array.from({ length: seeds }, (_, seed) => editedPrograms(edit, shape, seed + 1));
    const proven = pairs.filter((pair) => proofOfEdit(pair) === 'differs').length;
    const needed = pairs.map((pair, seed) => requestsUntilFlip(pair, requests, seed + 1)).filter((count) => count !== undefined);
    missed += 2 * pairs.length - needed.length - proven;
    return `${proven} of ${pairs.length} proven; ${needed.length} sampled, at most ${Math.max(0, ...needed)} requests`;
  });
  process.stdout.write(`| ${edit} | ${cells.join(' | ')} |\n`);
}
process.exitCode = missed === 0 ? 0 : 1;
