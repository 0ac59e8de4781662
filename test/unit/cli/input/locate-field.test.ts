import { expect } from 'chai';
import { createLocator, type SyntaxTree } from '../../../../src/cli/input/locate-field.ts';
import { parseManifests } from '../../../../src/state/manifests.ts';

const TEXT = `# a comment
apiVersion: v1
kind: A
metadata: { name: one }
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: x
      app: y
  rules:
    - from:
        - source:
            ipBlocks: ["10.0.0.0/8", "bad"]
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: B
    metadata: { name: two, namespace: foo }
    spec: {}
  - apiVersion: v1
    kind: B
    metadata: { name: two, namespace: bar }
    spec:
      rules: []
`;

describe('createLocator', () => {
  const trees = new Map<string, SyntaxTree>();
  const { objects } = parseManifests(TEXT, 'x.yaml', (tree) => trees.set('x.yaml', tree));

  const cases: readonly (readonly [name: string, object: number, path: string, place: string])[] = [
    ['the object itself', 0, '', '2:1'],
    ['a key', 0, 'spec.rules', '10:3'],
    ['an item of a sequence', 0, 'spec.rules[0].from[0].source.ipBlocks[1]', '13:38'],
    ['a key with dots after a dot', 0, 'spec.selector.matchLabels.app.kubernetes.io/name', '8:7'],
    ['a key with dots in brackets', 0, 'spec.selector.matchLabels[app.kubernetes.io/name]', '8:7'],
    ['a key that is a prefix of another key', 0, 'spec.selector.matchLabels.app', '9:7'],
    ['the deepest part that exists, for a missing field', 0, 'spec.rules[0].to[3].operation', '11:7'],
    ['an object in a List', 2, 'spec.rules', '26:7'],
    ['an object in a List, for a missing field', 1, 'spec.rules', '21:5'],
  ];
  for (const [name, at, path, place] of cases) {
    it(`finds ${name}`, () => {
      const item = objects[at];
      if (item === undefined) throw new Error('the text must have three objects');

      for (const kept of [new Map<string, SyntaxTree>(), trees]) {
        const { line, column } = createLocator(new Map([['x.yaml', TEXT]]), kept)(item, path);

        expect(`${line}:${column}`).to.equal(place);
      }
    });
  }

  it('returns the line of the object when the file changed since it was read', () => {
    const [item] = objects;
    if (item === undefined) throw new Error('the text must have three objects');

    expect(
      createLocator(new Map([['x.yaml', '- now: something else\n']]))({ ...item, origin: { file: 'x.yaml', line: 9 } }, 'spec'),
    ).to.deep.equal({
      line: 9,
      column: 1,
    });
  });
});
