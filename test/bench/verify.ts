/*
 * What signing and verifying a bundle cost, and how many bytes a signature adds: `node test/bench/verify.ts`. Verifying happens once for
 * each bundle, never for a request.
 */

import { BUNDLE_SCHEMA } from '../../src/bundle/bundle.ts';
import { encodeBundle } from '../../src/bundle/encode.ts';
import { acceptKeyLists } from '../../src/bundle/key-list.ts';
import { fromStoredForm, toStoredForm } from '../../src/bundle/slots.ts';
import { BUNDLE_STATEMENT, verifyStatement } from '../../src/bundle/statement.ts';
import { mintKeys, rotateRoot, signerOf } from '../../src/keys/signing-keys.ts';

const ROUNDS = 300;

/** Median milliseconds of one call. */
function median(run: () => unknown): number {
  const times = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  }).sort((one, other) => one - other);
  return times[ROUNDS / 2] ?? 0;
}

const nowMs = Date.now();
const keys = mintKeys('cluster-1', nowMs);
const signer = signerOf(keys);
const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
const noise = Array.from({ length: 29_000 }, () => crypto.randomUUID()).join('');
const { json } = encodeBundle({
  schema: BUNDLE_SCHEMA,
  workload,
  programs: [],
  variants: [],
  keySets: { a: { source: 'inline', keys: [{ k: noise }] } },
} as unknown as Parameters<typeof encodeBundle>[0]);
const { contents, ...stored } = toStoredForm(json);
const [part] = contents;
const { namespace, kind, name } = workload;
const statement = { schema: BUNDLE_STATEMENT, namespace, workload: { kind, name }, number: nowMs, ...stored } as const;
const jws = signer.sign(statement);
const context = { cluster: 'cluster-1', namespace, workload: { kind, name }, keys: signer.keys, nowMs };
let rotated = keys;
for (let change = 1; change <= 16; change += 1) rotated = rotateRoot(rotated, nowMs + change);
const { lines } = signerOf(rotated).keys;

process.stdout.write(`bundle                      ${json.length} bytes, ${part?.length} stored\n`);
process.stdout.write(`statement                   ${jws.length} bytes, sign ${median(() => signer.sign(statement)).toFixed(3)} ms\n`);
process.stdout.write(`verify the statement        ${median(() => verifyStatement(BUNDLE_STATEMENT, jws, context)).toFixed(3)} ms\n`);
process.stdout.write(
  `digest and parts            ${median(() => fromStoredForm({ ...statement, cluster: '' }, () => part)).toFixed(3)} ms\n`,
);
const first = median(() => acceptKeyLists(signer.keys.lines, { cluster: 'cluster-1', roots: [keys.root.x] }));
process.stdout.write(`list of keys                ${signer.keys.lines.length} bytes, ${first.toFixed(3)} ms, once for each list\n`);
const chain = median(() => acceptKeyLists(lines, { cluster: 'cluster-1', roots: [keys.root.x] }));
process.stdout.write(`lists of 17 root keys       ${lines.length} bytes, ${chain.toFixed(3)} ms\n`);
