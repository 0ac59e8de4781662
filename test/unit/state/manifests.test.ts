/* Parsing manifest files into objects with positions. */
import { expect } from 'chai';
import { isTestFile, parseManifests } from '../../../src/state/manifests.ts';

const NAMESPACE = 'apiVersion: v1\nkind: Namespace\nmetadata: { name: foo }\n';

describe('parseManifests', () => {
  it('returns the objects of every document with file and line', () => {
    const { objects, findings } = parseManifests(`${NAMESPACE}---\n# empty\n---\n${NAMESPACE}`, 'a.yaml');
    expect(findings).to.deep.equal([]);
    expect(objects.map(({ object, origin }) => [object.kind, origin])).to.deep.equal([
      ['Namespace', { file: 'a.yaml', line: 1 }],
      ['Namespace', { file: 'a.yaml', line: 7 }],
    ]);
  });

  it('flattens lists', () => {
    const list = {
      apiVersion: 'v1',
      kind: 'List',
      items: [1, 2].map((at) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${at}` } })),
    };
    expect(parseManifests(JSON.stringify(list), 'a.json').objects.map(({ object }) => object.metadata.name)).to.deep.equal(['p1', 'p2']);
  });

  it('returns no object when one document has an error', () => {
    const { objects, findings } = parseManifests(`${NAMESPACE}---\na: [\n`, 'a.yaml');
    expect(objects).to.deep.equal([]);
    expect(findings.map(({ code, severity, origin }) => [code, severity, origin.file])).to.deep.equal([['SP_MANIFEST', 'error', 'a.yaml']]);
  });

  for (const [text, reason] of [
    ['just text', 'not a Kubernetes object: a mapping with apiVersion, kind and metadata is expected'],
    ['kind: Pod', 'apiVersion is missing'],
    ['apiVersion: v1', 'kind is missing'],
    ['apiVersion: v1\nkind: Pod', 'metadata.name is missing'],
    ['apiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: 1 }', 'metadata.namespace is not a string'],
  ] as const) {
    it(`reports "${reason}" for ${JSON.stringify(text)}`, () => {
      expect(parseManifests(text, 'a.yaml').findings.map(({ message }) => message)).to.deep.equal([reason]);
    });
  }
});

describe('isTestFile', () => {
  it('is true only for tables of policy tests', () => {
    expect(['a.sallyport-test.yaml', 'a.sallyport-test.yml', 'a.yaml', 'sallyport-test.yaml'].map(isTestFile)).to.deep.equal([
      true,
      true,
      false,
      false,
    ]);
  });
});
