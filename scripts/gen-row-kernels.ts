/*
 * Assembles row-kernels.wat, WebAssembly text, into a TypeScript module that holds the binary as base64, because agent and controller
 * are one file each.
 */
import { readFileSync } from 'node:fs';
import loadWabt from 'wabt';

const NAME = 'row-kernels.wat';

/** The source of row-kernels.ts. @throws Error when the assembler rejects row-kernels.wat */
export async function rowKernels(): Promise<string> {
  const wabt = await loadWabt();
  const source = readFileSync(new URL(`../src/policy/decide/index/bitmap/${NAME}`, import.meta.url), 'utf8');
  const module = wabt.parseWat(NAME, source, { simd: true });
  module.validate();
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
  module.destroy();
  return [
    `/* Assembled from ${NAME} by \`npm run gen\`. */`,
    '',
    '/** The WebAssembly module of row-sets.ts, in base64. */',
    'export const ROW_KERNELS: string =',
    `  '${base64}';`,
    '',
  ].join('\n');
}
