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

describe('parseManifests: what kubectl accepts', () => {
  const policy = (spec: string): string =>
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: foo }\nspec: ${spec}\n`;
  const specOf = (text: string): unknown => parseManifests(text, 'a.yaml').objects[0]?.object['spec'];

  it('merges mappings, own members first', () => {
    const text = policy('{ a: &a { methods: [GET], paths: [/x] }, b: { <<: *a, methods: [POST] }, c: { <<: [{ k: 1 }, *a] } }');

    expect(specOf(text)).to.deep.include({ b: { methods: ['POST'], paths: ['/x'] }, c: { k: 1, methods: ['GET'], paths: ['/x'] } });
  });

  it('refuses more merges than a manifest needs', () => {
    const merges = Array.from({ length: 101 }, (_, at) => `k${at}: { <<: *a }`).join(', ');
    const { findings } = parseManifests(policy(`{ a: &a { x: 1 }, ${merges} }`), 'a.yaml');

    expect(findings.map(({ message }) => message).join()).to.match(/^more than 100 merges/);
  });

  for (const [word, value] of [
    ['yes', true],
    ['no', false],
    ['On', true],
    ['OFF', false],
    ['n', false],
    ['true', true],
    ['"no"', 'no'],
    ["'yes'", 'yes'],
    ['None', 'None'],
    ['north', 'north'],
  ] as const) {
    it(`takes ${word} for ${JSON.stringify(value)}, as YAML 1.1 does`, () => {
      expect(specOf(policy(`{ a: [${word}] }`))).to.deep.equal({ a: [value] });
    });
  }

  it('takes the kind of items without one from the list', () => {
    const item = { metadata: { name: 'p' }, spec: {} };
    const text = JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicyList', items: [item] });
    const plain = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [item] });

    expect(parseManifests(text, 'a.json').objects[0]?.object).to.deep.include({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
    });
    expect(parseManifests(plain, 'a.json').findings.map(({ message }) => message)).to.deep.equal(['apiVersion is missing']);
  });
});

describe('parseManifests: hints', () => {
  for (const action of ['{{ .Release.Name }}', '{{- if .Values.on }}', '{{$name}}', '{{ include "x" . }}']) {
    it(`says how to render a template with ${action}`, () => {
      const { findings } = parseManifests(`apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${action}\n`, 'a.yaml');

      expect(findings.map(({ hint }) => hint).join()).to.contain('helm template');
    });
  }

  it('says nothing about Helm for a file that is valid, or has no action', () => {
    const data = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c }\ndata: { t: "{{ .x }}" }\n';

    expect(parseManifests(data, 'a.yaml').findings).to.deep.equal([]);
    expect(parseManifests('a: [', 'a.yaml').findings[0]?.hint).to.equal(undefined);
  });

  it('says how to write several objects', () => {
    expect(parseManifests('- apiVersion: v1\n', 'a.yaml').findings[0]?.hint).to.contain('items of a List');
  });
});
