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

  it('returns the good objects and a finding when one document has an error', () => {
    const { objects, findings } = parseManifests(`${NAMESPACE}---\na: [\n`, 'a.yaml');
    expect(objects.map(({ object }) => object.kind)).to.deep.equal(['Namespace']);
    expect(findings.map(({ code, severity, origin }) => [code, severity, origin.file])).to.deep.equal([['SP_MANIFEST', 'error', 'a.yaml']]);
  });

  for (const [text, reason] of [
    ['just text', 'not a Kubernetes object: a mapping with apiVersion, kind and metadata is expected'],
    ['kind: Pod', 'apiVersion is missing'],
    ['apiVersion: v1', 'kind is missing'],
    ['apiVersion: v1\nkind: Pod', 'metadata.name is missing'],
    ['apiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: 1 }', 'metadata.namespace is not a string'],
    ['apiVersion: v1\nkind: Pod\nmetadata: { name: ../a }', 'metadata.name "../a" is not a name'],
    [`apiVersion: v1\nkind: Pod\nmetadata: { name: ${'a'.repeat(254)} }`, `metadata.name "${'a'.repeat(40)}…" is not a name`],
    ['apiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: .. }', 'metadata.namespace ".." is not a name'],
    ['apiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: a/../../b }', 'metadata.namespace "a/../../b" is not a name'],
    ['apiVersion: v1\nkind: Pod\nmetadata: { name: "a\\0" }', 'metadata.name "a\\u0000" is not a name'],
  ] as const) {
    it(`reports "${reason}" for ${JSON.stringify(text)}`, () => {
      expect(parseManifests(text, 'a.yaml').findings.map(({ message }) => message)).to.deep.equal([reason]);
    });
  }
});

describe('files of Kustomize', () => {
  for (const [file, text] of [
    ['kustomization.yaml', 'namespace: shop\nresources: [a.yaml]\n'],
    ['base/kustomization.yml', 'resources: []\n'],
    ['Kustomization', 'resources: []\n'],
    ['kustomization.yaml', 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n'],
    ['overlay.yaml', 'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: []\n'],
  ] as const) {
    it(`are neither objects nor faults: ${file} with ${JSON.stringify(text.slice(0, 20))}`, () => {
      expect(parseManifests(text, file)).to.deep.equal({ objects: [], findings: [] });
    });
  }

  it('are no excuse for a policy without apiVersion', () => {
    const policy = 'kind: AuthorizationPolicy\nmetadata: { name: a }\nspec: { rules: [{}] }\n';
    expect(parseManifests(policy, 'policy.yaml').findings.map(({ message }) => message)).to.deep.equal(['apiVersion is missing']);
    expect(parseManifests(policy, 'kustomization.yaml').findings.map(({ message }) => message)).to.deep.equal(['apiVersion is missing']);
  });
});

describe('a misspelt policy', () => {
  it('is an error with its position', () => {
    const { objects, findings } = parseManifests(
      `${NAMESPACE}---\napiVersion: security.istio.io/v1\nkind: AuthorisationPolicy\nmetadata: { name: a }\n`,
      'a.yaml',
    );
    expect(objects).to.have.length(1);
    expect(findings.map(({ path, origin }) => [path, origin.line])).to.deep.equal([['kind', 5]]);
  });
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
