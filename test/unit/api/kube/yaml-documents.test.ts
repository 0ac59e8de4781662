import { expect } from 'chai';
import { parseYamlDocuments } from '../../../../src/api/kube/yaml-documents.ts';

describe('parseYamlDocuments', () => {
  it('says what is wrong, and where', () => {
    const { documents, errorText } = parseYamlDocuments('a: 1\n---\nb: [\n');
    const [error] = documents[1]?.errors ?? [];

    expect(documents).to.have.length(2);
    expect(error === undefined ? '' : errorText(error)).to.match(/^Flow sequence in block collection must be .* at line \d, column \d$/);
  });

  it('finds an error per character without quoting the line for each', () => {
    const { documents } = parseYamlDocuments(`a: { b: ${'}'.repeat(200_000)}`);

    expect(documents[0]?.errors.length).to.be.greaterThan(1000);
  });

  it('has no documents for an empty text', () => {
    expect(parseYamlDocuments('').documents).to.deep.equal([]);
  });
});
