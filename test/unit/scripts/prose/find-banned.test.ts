import { expect } from 'chai';
import { findBanned, mayContainBanned } from '../../../../scripts/prose/find-banned.ts';

function phrases(path: string, source: string): readonly string[] {
  return findBanned(path, source).findings.map(({ line, phrase }) => `${line} ${phrase}`);
}

describe('banned phrases', () => {
  it('are found in comments and sentences of sources', () => {
    const source = "/* One that\n * nobody reads. */\nconst a = 'nobody'; // anew\nconst b = `is ${a} told`;\nconst c = 'told so';\n";
    expect(phrases('src/a.ts', source)).to.deep.equal(['2 nobody', '3 anew', '4 told', '5 told']);
  });

  it('are found across two lines of a comment', () => {
    expect(phrases('src/a.ts', '/*\n * There is so\n * many of them.\n */\n')).to.deep.equal(['2 so many']);
  });

  it('are found in names and comments of tests, not in their data', () => {
    const source = "describe('a room', () => {\n  it(`is told ${1}`, () => run('the door is open')); // hardly\n});\n";
    expect(phrases('test/unit/a.test.ts', source)).to.deep.equal(['1 room', '2 told', '2 hardly']);
  });

  it('finds phrases in the first column of a table of test cases, and in the strings of test programs', () => {
    const source = "const rows = [\n  ['a room', 'an open door'],\n];\nconst body = 'nobody is told';\n";
    expect(phrases('test/unit/a.test.ts', source)).to.deep.equal(['2 room']);
    expect(phrases('test/unit/a.ts', source)).to.deep.equal([]);
    expect(phrases('test/bench/a.ts', "log('nobody is told');\n")).to.deep.equal(['1 nobody', '1 told']);
  });

  it('are found in Markdown outside of code and link targets', () => {
    expect(phrases('docs/a.md', 'A `room` in a\n[house](room.md).\n\n```\nnobody\n```\n')).to.deep.equal(['2 house']);
  });

  it('are found in comments of YAML, Go, WebAssembly text and Dockerfiles', () => {
    expect(phrases('charts/a.yaml', 'told: nobody # anew\n{{/* a room */}}\n')).to.deep.equal(['1 anew', '2 room']);
    expect(phrases('test/a.go', 'var told = 1 // anew\n/* a room */\n')).to.deep.equal(['1 anew', '2 room']);
    expect(phrases('src/a.wat', '(told) ;; anew\n')).to.deep.equal(['1 anew']);
    expect(phrases('Dockerfile.agent', '# anew\nRUN told\n')).to.deep.equal(['1 anew']);
  });

  it('are not found as parts of words, in names in backticks, or in JSON', () => {
    expect(phrases('src/a.ts', '// mushroom, `room`, room-mate, feedback\nconst nobody = 1;\n')).to.deep.equal([]);
    expect(phrases('src/a.json', '{"a": "nobody was told"}')).to.deep.equal([]);
  });

  it('include the former style of file headers, with its case', () => {
    expect(phrases('src/a.ts', '/*\n * Reads. In: a file. Out: an object. Called by the entry point.\n */')).to.deep.equal([
      '2 In:',
      '2 Out:',
      '2 Called by',
    ]);
    expect(phrases('src/a.ts', '// The order is: in: a, out: b; called by name.\n')).to.deep.equal([]);
  });

  it('come with what to write instead', () => {
    expect(findBanned('src/a.ts', '// octets\n').findings).to.deep.equal([
      { path: 'src/a.ts', line: 1, phrase: 'octets', instead: 'byte' },
    ]);
  });

  it('are all found after the quick test of the whole text', () => {
    const source = '// nobody\n';
    expect(mayContainBanned(source)).to.equal(true);
    expect(phrases('src/a.ts', source)).to.deep.equal(['1 nobody']);
    expect(mayContainBanned('// no body')).to.equal(false);
  });

  it('leave the number of lines with comments', () => {
    expect(findBanned('src/a.ts', '/* a\n * b\n */\nconst a = 1; // c\n').commentLines).to.equal(4);
  });
});
