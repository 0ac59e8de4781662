/* Edits of YAML documents that keep everything unchanged as it is. */
import { expect } from 'chai';
import { parseDocument } from 'yaml';
import { editDocument } from '../../../src/inject/edit-document.ts';

function edited(text: string, path: readonly (string | number)[], after: unknown): string {
  const document = parseDocument(text, { merge: true });
  editDocument(document, path, after);
  return document.toString({ lineWidth: 0 });
}

describe('editDocument', () => {
  it('changes one value and keeps comments, order and quotes', () => {
    const text = "# head\nb: 'one' # kept\na: 1\n";

    expect(edited(text, [], { b: 'one', a: 2 })).to.equal("# head\nb: 'one' # kept\na: 2\n");
  });

  it('removes fields and appends new ones', () => {
    expect(edited('a: 1\nb: 2\n', [], { b: 2, c: [3] })).to.equal('b: 2\nc:\n  - 3\n');
  });

  it('keeps the comment of an array element that moves, by its name', () => {
    const text = 'items:\n  - name: x # the x\n    v: 1\n  - name: y # the y\n    v: 2\n';
    const after = [{ name: 'new' }, { name: 'y', v: 2 }, { name: 'x', v: 3 }];

    expect(edited(text, ['items'], after)).to.equal(
      'items:\n  - name: new\n  - name: y # the y\n    v: 2\n  - name: x # the x\n    v: 3\n',
    );
  });

  it('matches array elements without names by position', () => {
    expect(edited('- 1 # one\n- 2 # two\n', [], [1, 3])).to.equal('- 1 # one\n- 3\n');
  });

  it('does not change the anchor of an alias that is edited', () => {
    const text = 'a: &x\n  v: 1\nb: *x\n';

    expect(edited(text, ['b'], { v: 2 })).to.equal('a: &x\n  v: 1\nb:\n  v: 2\n');
  });

  it('writes a map with a merge key as a complete map', () => {
    const text = 'base: &b\n  v: 1\nuse:\n  <<: *b\n  w: 2\n';

    expect(edited(text, ['use'], { v: 1, w: 3 })).to.equal('base: &b\n  v: 1\nuse:\n  v: 1\n  w: 3\n');
  });

  it('creates a value at a path that does not exist', () => {
    expect(edited('a: 1\n', ['b', 'c'], { d: true })).to.equal('a: 1\nb:\n  c:\n    d: true\n');
  });

  it('replaces a value by one of another type', () => {
    expect(edited('a: {x: 1}\n', ['a'], [1])).to.equal('a:\n  - 1\n');
  });

  it('uses block style around a block collection', () => {
    expect(edited('a: { b: 1 }\n', [], { a: { b: 1, c: { d: 2 } } })).to.equal('a:\n  b: 1\n  c:\n    d: 2\n');
  });

  it('repeats equal parts instead of writing aliases', () => {
    const shared = { v: 1 };

    expect(edited('{}\n', [], { a: shared, b: shared })).to.not.match(/[&*]/);
  });
});
