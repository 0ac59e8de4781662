import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { isCovered, readCoverage } from '../../../../scripts/mutation/coverage.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

type Range = readonly [start: number, end: number, count: number];

/** A file that V8 writes for one process: all ranges of one script. */
function written(url: string, ...ranges: readonly Range[]): string {
  const functions = [{ ranges: ranges.map(([startOffset, endOffset, count]) => ({ startOffset, endOffset, count })) }];
  return JSON.stringify({ result: [{ url, functions }] });
}

describe('the coverage of a run of tests', () => {
  const root = '/project';
  const url = pathToFileURL(join(root, 'src/jwt/a.ts')).href;

  it('takes the innermost range around a place', () =>
    withDirectory({ 'one.json': written(url, [0, 100, 1], [20, 50, 0], [30, 40, 2]) }, async (directory) => {
      const coverage = readCoverage(directory, root);

      expect(coverage).to.deep.equal({
        'src/jwt/a.ts': [
          [0, 20],
          [30, 40],
          [50, 100],
        ],
      });
      for (const [offset, expected] of [
        [0, true],
        [19, true],
        [20, false],
        [30, true],
        [39, true],
        [40, false],
        [99, true],
        [100, false],
      ] as const)
        expect(isCovered(coverage, 'src/jwt/a.ts', offset), `${offset}`).to.equal(expected);
      expect(isCovered(coverage, 'src/jwt/b.ts', 0)).to.equal(false);
    }));

  it('adds up the processes of the run', () =>
    withDirectory(
      {
        'one.json': written(url, [0, 100, 1], [20, 100, 0]),
        'two.json': written(url, [0, 100, 1], [0, 50, 0]),
        'three.json': written(url, [0, 100, 0]),
      },
      async (directory) => {
        expect(readCoverage(directory, root)).to.deep.equal({
          'src/jwt/a.ts': [
            [0, 20],
            [50, 100],
          ],
        });
      },
    ));

  it('leaves out what is not a source of the project', () =>
    withDirectory(
      { 'one.json': written('file:///other/src/a.ts', [0, 1, 1]), 'two.json': written('node:fs', [0, 1, 1]) },
      async (directory) => {
        expect(readCoverage(directory, root)).to.deep.equal({});
      },
    ));
});
