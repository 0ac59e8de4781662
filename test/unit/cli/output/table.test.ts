import { expect } from 'chai';
import { formatTable } from '../../../../src/cli/output/table.ts';
import { Collected } from '../../../support/cli-context.ts';

describe('formatTable', () => {
  const rows = [
    ['one', '', 'a text that is long'],
    ['two', '', '日本'],
  ];

  it('leaves out a column without any text', () => {
    expect(formatTable(['A', 'B', 'C'], rows, new Collected())).to.equal('A    C\none  a text that is long\ntwo  日本\n');
  });

  it('aligns characters that take two columns, and combining marks that take none', () => {
    expect(
      formatTable(
        ['A', 'B'],
        [
          ['日本', 'x'],
          ['abcd', 'y'],
          ['e\u0301', 'z'],
        ],
        new Collected(),
      ),
    ).to.equal('A     B\n日本  x\nabcd  y\ne\u0301     z\n');
  });

  it('prints a paragraph per row on a terminal that is too narrow', () => {
    const terminal = Object.assign(new Collected(), { isTTY: true, columns: 20, hasColors: () => false, getColorDepth: () => 1 });

    expect(formatTable(['NAME', 'B', 'TEXT'], rows, terminal)).to.equal(
      'NAME  one\nTEXT  a text that is\n      long\n\nNAME  two\nTEXT  日本\n',
    );
  });
});
