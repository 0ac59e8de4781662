/*
 * Writes crds/ from the schemas of src/api. `node scripts/gen-crds.ts` writes; with `--check` it writes nothing and exits 1
 * when a file differs from what would be written.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { crdFiles } from '../src/api/crd/custom-resource-definitions.ts';

const folder = new URL('../crds/', import.meta.url);
const isCheck = process.argv.includes('--check');

function current(url: URL): string | undefined {
  try {
    return readFileSync(url, 'utf8');
  } catch {
    // A missing file is stale.
    return undefined;
  }
}

const stale = crdFiles().filter((file) => current(new URL(file.name, folder)) !== file.text);
if (isCheck) {
  for (const file of stale) console.error(`crds/${file.name} is stale; run: node scripts/gen-crds.ts`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  mkdirSync(folder, { recursive: true });
  for (const file of stale) {
    writeFileSync(new URL(file.name, folder), file.text);
    console.error(`wrote crds/${file.name}`);
  }
}
