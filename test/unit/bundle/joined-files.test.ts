import { expect } from 'chai';
import { joinFiles, splitFiles } from '../../../src/bundle/joined-files.ts';

describe('joined files', () => {
  it('are split into the same files, without absent ones', () => {
    const joined = joinFiles({ '0/part': Buffer.from('a\nb'), '0/keys.jws': Buffer.alloc(0), absent: undefined });
    const split = Object.entries(splitFiles(joined) ?? {}).map(([name, content]) => [name, Buffer.from(content ?? []).toString()]);
    expect(split).to.deep.equal([
      ['0/part', 'a\nb'],
      ['0/keys.jws', ''],
    ]);
  });

  for (const text of ['', '\n', '{}\n', '[["a",-1]]\n', '[["a",2]]\nx', '[["a",1]]\nxy', '[["a"]]\n', 'no line']) {
    it(`are refused when they are ${JSON.stringify(text)}`, () => {
      expect(splitFiles(Buffer.from(text))).to.equal(undefined);
    });
  }
});
