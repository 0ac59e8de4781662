/*
 * Compares a built file with its allow list and its size budget.
 */
import type { OutputBudget } from './allowed-imports.ts';

/** What esbuild's metafile says of one output. */
export interface BuiltFile {
  readonly bytes: number;
  /** Input path from the project's root to the bytes of it that are in the output. */
  readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>>;
}

/** One line for each input that the budget does not list, and one when the file is too large. Empty: the file is within it. */
export function checkOutput(name: string, built: BuiltFile, budget: OutputBudget): readonly string[] {
  const problems = Object.entries(built.inputs)
    .filter(([input, { bytesInOutput }]) => bytesInOutput > 0 && !input.startsWith('unused:') && !isAllowed(input, budget))
    .map(([input]) => `dist/${name}.mjs contains ${input}, which OUTPUT_BUDGETS in scripts/dependencies/allowed-imports.ts does not list`);
  const kib = built.bytes / 1024;
  if (kib > budget.maxKiB) problems.push(`dist/${name}.mjs has ${kib.toFixed(0)} KiB, more than its budget of ${budget.maxKiB} KiB`);
  return problems;
}

/** The messages of zod in English, and in all languages: `import { z } from 'zod'` keeps half a megabyte of them in a bundle. */
const ENGLISH = 'zod/v4/locales/en.js';
const LANGUAGES = 'zod/v4/locales/';

/** One line when the output has messages in languages that no process writes; empty: it has none. */
export function checkLanguages(name: string, { inputs }: Pick<BuiltFile, 'inputs'>): readonly string[] {
  const found = Object.entries(inputs).filter(([input, { bytesInOutput }]) => {
    const path = input.slice(input.lastIndexOf('node_modules/') + 'node_modules/'.length);
    return bytesInOutput > 0 && path.startsWith(LANGUAGES) && path !== ENGLISH;
  });
  return found.length === 0 ? [] : [`dist/${name}.mjs contains ${found.length} languages of zod: write import * as z from 'zod'`];
}

function isAllowed(input: string, { packages, npm }: OutputBudget): boolean {
  const path = input.slice(input.lastIndexOf('node_modules/') + 'node_modules/'.length);
  if (input.includes('node_modules/')) return npm.some((name) => path === name || path.startsWith(`${name}/`));
  return packages.some((name) => input === name || input === `src/${name}` || input.startsWith(`src/${name}/`));
}
