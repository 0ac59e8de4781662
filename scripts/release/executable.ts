/*
 * Single-file executables of the command line: a Node.js with the bundled CLI in it (single executable application). See docs/release.md
 * for platforms other than Linux.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltProcess, buildSingleFile } from '../build.ts';
import { writeArchive } from './archives.ts';
import { fetchNode } from './node-binary.ts';
import { type Architecture, hostArchitecture } from './platform.ts';
import { run } from './run.ts';

/** File name of the archive with an executable. */
export function executableArchive(version: string, architecture: Architecture): string {
  return `sallyport-${version}-linux-${architecture}.tar.gz`;
}

/**
 * Writes the archive of the executable for one architecture.
 *
 * @param work empty directory for what is made on the way
 * @param out directory of the archive
 * @returns the bundle that the executable contains
 */
export async function writeExecutable(architecture: Architecture, version: string, work: string, out: string): Promise<BuiltProcess> {
  const root = join(import.meta.dirname, '../..');
  const node = await fetchNode(architecture);
  const host = await fetchNode(hostArchitecture());
  const built = await buildSingleFile(join(work, 'cli.mjs'), version);
  const config = {
    main: 'cli.mjs',
    mainFormat: 'module',
    executable: join(node, 'bin/node'),
    output: 'sallyport',
    disableExperimentalSEAWarning: true,
    // Compiled code halves the time to start, and is only valid for the architecture that compiled it.
    useCodeCache: architecture === hostArchitecture(),
  };
  await writeFile(join(work, 'config.json'), JSON.stringify(config));
  // The seed makes the compiled code the same each time. Relative paths, because they become part of the executable.
  await run(join(host, 'bin/node'), ['--random-seed=1', '--build-sea', 'config.json'], work);
  await writeArchive(join(out, executableArchive(version, architecture)), [
    { path: 'sallyport', from: join(work, 'sallyport'), mode: 0o755 },
    { path: 'LICENSE', from: join(root, 'LICENSE'), mode: 0o644 },
    { path: 'LICENSE.node', from: join(node, 'LICENSE'), mode: 0o644 },
  ]);
  return built;
}
