import { expect } from 'chai';
import { findRegexes } from '../../../../scripts/regexes/find-regexes.ts';

const find = (text: string): ReturnType<typeof findRegexes> => findRegexes(new Map([['src/a.ts', text]]));

describe('the search for regular expressions', () => {
  it('finds literals with their line, and whether they are searched for repeatedly', () => {
    const { regexes, dynamic } = find(
      "const a = /x+/;\nconst b = text.split(/,/);\nconst c = text.replaceAll(/y/gi, '');\ntext.match(/z/);",
    );

    expect(dynamic).to.deep.equal([]);
    expect(regexes).to.deep.equal([
      { path: 'src/a.ts', line: 1, source: 'x+', flags: '', isRepeated: false },
      { path: 'src/a.ts', line: 2, source: ',', flags: '', isRepeated: true },
      { path: 'src/a.ts', line: 3, source: 'y', flags: 'gi', isRepeated: true },
      { path: 'src/a.ts', line: 4, source: 'z', flags: '', isRepeated: false },
    ]);
  });

  it('finds expressions that are made at run time, with the name of an exported constant', () => {
    const { dynamic } = find('export const A: RegExp = new RegExp(b);\nconst C = RegExp(`${d}`);\ntext.match("a+$");\ntext.search(`b`);');

    expect(dynamic).to.deep.equal([
      { path: 'src/a.ts', line: 1, name: 'A' },
      { path: 'src/a.ts', line: 2 },
      { path: 'src/a.ts', line: 3 },
      { path: 'src/a.ts', line: 4 },
    ]);
  });
});
