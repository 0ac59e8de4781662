import { expect } from 'chai';
import { parseYamlDocument, parseYamlDocuments, parseYamlValue } from '../../../../src/api/kube/yaml-documents.ts';
import { RefusedError } from '../../../../src/errors.ts';

/** The first error of the last document, with its place; undefined: it has none. */
function lastError(text: string): string | undefined {
  const { documents, errorText } = parseYamlDocuments(text);
  const error = documents.at(-1)?.errors[0];
  return error === undefined ? undefined : errorText(error);
}

describe('parseYamlDocuments', () => {
  it('says what is wrong, and where', () => {
    const { documents, errorText } = parseYamlDocuments('a: 1\n---\nb: [\n');
    const [error] = documents[1]?.errors ?? [];

    expect(documents).to.have.length(2);
    expect(error === undefined ? '' : errorText(error)).to.match(/^Flow sequence in block collection must be .* at line \d, column \d$/);
  });

  it('gives a text up, and says so, when it has more than a hundred errors', () => {
    for (const text of [`a: { b: ${'}'.repeat(200_000)}`, `[${','.repeat(90_000)}`, '}\n'.repeat(200)]) {
      expect(lastError(text), text.slice(0, 10)).to.match(
        /^more than 100 errors, the first: \S.*; the rest is not read at line 1, column \d+$/,
      );
    }
  });

  it('gives a text up when it is nested too deeply, in each style', () => {
    for (const text of ['[', '{', '- ', '? ', '{a: '].map((piece) => piece.repeat(100_000))) {
      expect(lastError(text), text.slice(0, 4)).to.match(/^nested more than 1000 levels deep; the rest is not read/);
    }
    expect(lastError(`${'['.repeat(500)}${']'.repeat(500)}`)).to.equal(undefined);
  });

  it('gives a text up when it consists of tokens', () => {
    for (const text of ['1,', '#\n', '\n', '! a,'].map((piece) => `[${piece.repeat(150_000)}]`)) {
      expect(lastError(text), JSON.stringify(text.slice(0, 4))).to.match(/^more than 100000 tokens .*; the rest is not read/);
    }
  });

  it('reads a large manifest with short values as a whole', () => {
    const text = 'apiVersion: v1\nkind: A\nmetadata: { name: n }\n---\n'.repeat(10_000);

    expect(parseYamlDocuments(text).documents.filter(({ errors }) => errors.length === 0)).to.have.length(10_001);
  });

  it('reports the first repeated key of a mapping, also among thousands', () => {
    const keys = Array.from({ length: 20_000 }, (_, at) => `a-longer-key-${at}: some value of some length\n`).join('');

    expect(lastError(keys)).to.equal(undefined);
    expect(lastError(`${keys}a-longer-key-5: 1\n`)).to.equal('the key "a-longer-key-5" is repeated at line 20001, column 1');
    expect(lastError('a: [{ b: 1, "b": 2 }]')).to.equal('the key "b" is repeated at line 1, column 13');
    expect(lastError('a: [{ 1: 1, "1": 2, c: { 1: 1 } }]')).to.equal(undefined);
  });

  it('reports more than a thousand aliases', () => {
    const aliases = (length: number): string => `a: &a 1\nb: [${Array.from({ length }, () => '*a').join(', ')}]`;

    expect(lastError(aliases(1001))).to.match(/^more than 1000 aliases/);
    expect(lastError(aliases(1000))).to.equal(undefined);
  });

  it('has no documents for an empty text', () => {
    expect(parseYamlDocuments('').documents).to.deep.equal([]);
  });
});

describe('parseYamlDocument', () => {
  it('reports the first error, and a second document', () => {
    expect(parseYamlDocument('a: 1').error).to.equal(undefined);
    expect(parseYamlDocument('a: 1\n---\nb: [').error).to.include({ line: 3 });
    expect(parseYamlDocument('a: 1\n---\nb: 1').error).to.deep.equal({
      message: 'there is more than one document at line 2, column 1',
      line: 2,
    });
    expect(parseYamlDocument('').document.toJS()).to.equal(null);
  });
});

describe('parseYamlValue', () => {
  it('returns the value of the only document', () => {
    expect(parseYamlValue('a: [1, "2"]')).to.deep.equal({ a: [1, '2'] });
    expect(parseYamlValue('')).to.equal(null);
    expect(() => parseYamlValue('a: [')).to.throw(RefusedError, /at line 1/);
    expect(() => parseYamlValue('a: &a [*a]')).to.throw(RefusedError);
  });
});
