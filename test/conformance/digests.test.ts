/*
 * Bundles are byte for byte those of the recorded digests. A change of this file means that agents reload their bundles on upgrade.
 * `node test/conformance/digests.ts > test/conformance/digests.json` records them again.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { DIRECTORIES, type DirectoryDigest, directoryDigest } from './digests.ts';

const ROOT = join(import.meta.dirname, '../..');
const RECORDED = JSON.parse(readFileSync(join(import.meta.dirname, 'digests.json'), 'utf8')) as Readonly<Record<string, DirectoryDigest>>;

describe('bundles of the recorded cases', function () {
  this.timeout(120_000);

  it('have a recorded digest for every directory of the project', () => {
    expect(RECORDED).to.include.keys(DIRECTORIES.filter((directory) => directory.startsWith('test/')));
  });

  for (const directory of DIRECTORIES) {
    it(`have the recorded digest: ${directory}`, async function () {
      if (!existsSync(join(ROOT, directory))) {
        console.log(`      SKIPPED: ${directory} does not exist`);
        this.skip();
      }
      expect(await directoryDigest(directory)).to.deep.equal(RECORDED[directory]);
    });
  }
});
