/*
 * The import rules inside the policy package: the bitmap index has one interface, and directories do not depend on each other in a
 * cycle, types included.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';

const ROOT = join(import.meta.dirname, '../../../src/policy');
const BITMAP = 'decide/index/bitmap';

interface Import {
  readonly from: string;
  readonly to: string;
}

function importsOf(file: string): readonly Import[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  return Array.from(source.matchAll(/from '(\.[^']+)'/g), ([, path = '']) => ({ from: file, to: normalize(join(dirname(file), path)) }));
}

const IMPORTS = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .flatMap(importsOf);

describe('imports inside the policy package', () => {
  it('reach the bitmap index through its interface only', () => {
    const reaching = IMPORTS.filter(({ from, to }) => dirname(to) === BITMAP && dirname(from) !== BITMAP);

    expect(reaching).to.not.deep.equal([]);
    for (const { from, to } of reaching) expect(to, from).to.equal(`${BITMAP}/bitmap-index.ts`);
  });

  it('form no cycle of directories', () => {
    const targets = new Map<string, Set<string>>();
    for (const { from, to } of IMPORTS) {
      if (to.startsWith('..') || dirname(from) === dirname(to)) continue;
      targets.set(dirname(from), (targets.get(dirname(from)) ?? new Set()).add(dirname(to)));
    }
    for (const directory of targets.keys()) {
      const reachable = new Set<string>();
      const visit = (one: string): void => {
        for (const target of targets.get(one) ?? []) {
          if (reachable.has(target)) continue;
          reachable.add(target);
          visit(target);
        }
      };
      visit(directory);
      expect(reachable.has(directory), `${directory} imports itself through ${[...reachable].join(', ')}`).to.equal(false);
    }
  });
});
