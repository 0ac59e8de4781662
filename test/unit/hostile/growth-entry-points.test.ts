/*
 * The small version of `npm run growth`: every entry point with one text in which all hostile shapes alternate, and with the shapes that
 * were quadratic once. Four times the text may take five times the CPU time.
 */
import { expect } from 'chai';
import { type EntryPoint, entryPoints, shareOf } from '../../growth/entry-points.ts';
import { measureGrowth, superLinearGrowth } from '../../growth/measure.ts';
import { SHAPES, type Shape } from '../../growth/shapes.ts';

const LENGTH = 32 * 1024;

/** A part of equal length of each shape. */
const alternating: Shape = (length) => {
  const shapes = Object.values(SHAPES);
  return shapes.map((make) => make(length / shapes.length)).join('');
};
const TEXTS: Readonly<Record<string, Shape>> = {
  'all shapes in turn': alternating,
  dashes: SHAPES['dashes, then a letter'] as Shape,
  hashes: SHAPES['hashes, then a line break and more'] as Shape,
};

describe('CPU time grows linearly with the text', function () {
  this.timeout(120_000);
  const points: [string, EntryPoint][] = Object.entries(entryPoints());
  after(() => {
    for (const [, { dispose }] of points) dispose();
  });

  for (const [name, point] of points) {
    it(name, async () => {
      for (const [shape, make] of Object.entries(TEXTS)) {
        expect(superLinearGrowth(await measureGrowth((length) => point.run(make(shareOf(point, length))), LENGTH)), shape).to.equal(
          undefined,
        );
      }
    });
  }

  it('and the measurement detects quadratic growth', async () => {
    const square = (length: number): boolean => /-+$/.test(`${'-'.repeat(length / 4)}x`);

    expect(superLinearGrowth(await measureGrowth(square, LENGTH))).to.match(/^\d+ ms for four times/);
  });
});
