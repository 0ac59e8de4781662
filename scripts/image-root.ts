/*
 * `node scripts/image-root.ts IMAGE DIRECTORY [--arch amd64|arm64]`: writes the files of an image into a new directory, for the Dockerfiles.
 * Needs dist (`npm run build`), npm, and apt-get of Debian.
 */
import { chmod, cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { IMAGE_NAMES, layersOf } from './release/image-contents.ts';
import { tarEntriesOf } from './release/image-file.ts';
import { ARCHITECTURES, hostArchitecture } from './release/platform.ts';

const { positionals, values } = parseArgs({ allowPositionals: true, options: { arch: { type: 'string' } } });
const [wanted, root, ...rest] = positionals;
const name = IMAGE_NAMES.find((known) => known === wanted);
const architecture = values.arch === undefined ? hostArchitecture() : ARCHITECTURES.find((known) => known === values.arch);
if (name === undefined || root === undefined || rest.length > 0 || architecture === undefined) {
  process.stderr.write(`usage: image-root.ts ${IMAGE_NAMES.join('|')} DIRECTORY [--arch ${ARCHITECTURES.join('|')}]\n`);
  process.exit(64);
}
for (const layer of await layersOf(name, architecture, join(import.meta.dirname, '../dist'))) {
  for (const entry of tarEntriesOf(layer)) {
    const path = join(root, entry.path);
    await mkdir(entry.kind === 'folder' ? path : dirname(path), { recursive: true });
    if (entry.kind === 'link') await symlink(entry.target, path);
    else if (entry.kind === 'file') await ('from' in entry ? cp(entry.from, path) : writeFile(path, entry.content));
    if (entry.kind !== 'link') await chmod(path, entry.mode);
  }
}
