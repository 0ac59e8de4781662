import { expect } from 'chai';
import { exportsOf } from '../../../../scripts/docstrings/find-undocumented.ts';

function undocumented(source: string): readonly string[] {
  return exportsOf('src/a.ts', source)
    .filter(({ isDocumented }) => !isDocumented)
    .map(({ name, line }) => `${line} ${name}`);
}

describe('exports without a doc comment', () => {
  it('are found for every kind of declaration', () => {
    const source = [
      'export const a = 1;',
      'export function b(): void {}',
      'export class C {}',
      'export interface D {}',
      'export type E = 1;',
      'export async function f(): Promise<void> {}',
    ].join('\n');
    expect(undocumented(source)).to.deep.equal(['1 a', '2 b', '3 C', '4 D', '5 E', '6 f']);
  });

  it('are not those with a doc comment, nor declarations that are not exported', () => {
    expect(
      undocumented('/** What it is. */\nexport const a = 1;\n\n/**\n * Two lines.\n */\nexport interface B {}\nconst c = 1;\n'),
    ).to.deep.equal([]);
  });

  it('are those whose comment is empty, is not a doc comment, or stands elsewhere', () => {
    const source =
      '/** */\nexport const a = 1;\n/* what */\nexport const b = 1;\n// what\nexport const c = 1;\n/** d */\nconst d = 1;\nexport const e = 1;\n';
    expect(undocumented(source)).to.deep.equal(['2 a', '4 b', '6 c', '9 e']);
  });

  it('count overloads once, and names exported in a list where they are declared', () => {
    expect(
      undocumented('/** Doc. */\nexport function a(x: 1): 1;\nexport function a(x: 2): 2;\nexport function a(x: 1 | 2) { return x; }\n'),
    ).to.deep.equal([]);
    expect(undocumented('const a = 1;\nexport { a };\nexport { b } from "./b.ts";\n')).to.deep.equal(['1 a']);
  });
});
