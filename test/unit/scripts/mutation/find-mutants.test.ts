import { expect } from 'chai';
import { applyMutant, findMutants } from '../../../../scripts/mutation/find-mutants.ts';

const mutated = (source: string): readonly string[] => findMutants('a.ts', source).map((mutant) => applyMutant(source, mutant));

describe('findMutants', () => {
  const cases: readonly (readonly [source: string, mutants: readonly string[]])[] = [
    ['if (a) b();', ['if (!(a)) b();', 'if (a) ;']],
    ['x = a ? b : c;', [';', 'x = !(a) ? b : c;']],
    ['while (a) {}', ['while (!(a)) {}']],
    ['const x = a && b;', ['const x = (a || b);']],
    ['const x = (a || b) && c;', ['const x = ((a || b) || c);', 'const x = ((a && b)) && c;']],
    ['const x = a < b;', ['const x = (a <= b);']],
    ['const x = a >= b;', ['const x = (a > b);']],
    ['const x = a !== b;', ['const x = (a === b);']],
    ['const x = a ?? b;', []],
    ['function f() { return a; }', ['function f() { return undefined; }']],
    ['function f() { return; }', []],
    ['function f() { return undefined; }', []],
    ['const x = 1;', ['const x = 2;']],
    ["const x = 'a';", ["const x = '';"]],
    ["const x = '';", ["const x = 'mutant';"]],
    ['const x = true;', ['const x = false;']],
  ];
  for (const [source, expected] of cases) {
    it(`finds ${expected.length} in ${source}`, () => {
      expect(mutated(source)).to.deep.equal(expected);
    });
  }

  it('leaves types, names and modules as they are', () => {
    for (const source of [
      "import a from 'a';",
      "export * from 'a';",
      "type A = 'a' | 1;",
      "const a: Record<'x', 1> = b;",
      "const a = { 'x-y': b };",
      'class A extends B { constructor() { super(); } }',
      "'use strict';",
    ])
      expect(mutated(source), source).to.deep.equal([]);
    expect(mutated("const a = 'x' as 'x' | 'y';")).to.deep.equal(["const a = '' as 'x' | 'y';"]);
  });

  it('names the line, and gives each change an id that depends on the text', () => {
    const [first, second] = findMutants('a.ts', 'const x = 1;\nconst y = 1;');

    expect([first?.line, second?.line]).to.deep.equal([1, 2]);
    expect(new Set([first?.id, second?.id, findMutants('a.ts', 'const x = 1;')[0]?.id]).size).to.equal(3);
  });

  it('gives a change the same id wherever its lines stand, and another between other lines', () => {
    const lines = 'if (a) {\n  b(1);\n}';
    const ids = (source: string): readonly string[] => findMutants('a.ts', source).map(({ id }) => id);

    expect(ids(`import c from 'c';\n\nif (d) {\n  ${lines}\n}\n`)).to.include.members(ids(lines).slice(1));
    expect(ids('if (e) {\n  b(1);\n}')).not.to.include.members(ids(lines).slice(1));
  });

  it('distinguishes equal changes', () => {
    const ids = findMutants('a.ts', 'f(1, 1);\nf(1, 1);\nf(1, 1);\nf(1, 1);').map(({ id }) => id);

    expect(new Set(ids).size).to.equal(12);
  });
});
