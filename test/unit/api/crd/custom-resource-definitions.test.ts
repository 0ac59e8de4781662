/* The generated CRDs; `npm run gen:check` compares them with the files in crds/. */
import { expect } from 'chai';
import { parse } from 'yaml';
import { crdFiles } from '../../../../src/api/crd/custom-resource-definitions.ts';

type Node = Readonly<Record<string, unknown>>;

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly scope: string;
    readonly names: { readonly plural: string; readonly categories: readonly string[] };
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly storage: boolean;
      readonly schema: { readonly openAPIV3Schema: { readonly properties: { readonly spec: Node; readonly status: Node } } };
    }[];
  };
}

/** Every schema below `node`, with its path. */
function* schemasOf(node: unknown, path: string): Iterable<readonly [path: string, schema: Node]> {
  if (typeof node !== 'object' || node === null) return;
  if (Array.isArray(node)) {
    for (const [index, item] of node.entries()) yield* schemasOf(item, `${path}[${index}]`);
    return;
  }
  if ('type' in node && typeof node.type === 'string') yield [path, node as Node];
  for (const [key, value] of Object.entries(node)) yield* schemasOf(value, `${path}.${key}`);
}

for (const { name, text } of crdFiles()) {
  describe(`CRD ${name}`, () => {
    const definition = parse(text) as Definition;
    const [v1, v1beta1] = definition.spec.versions;

    it('has the name that its plural and group require', () => {
      expect(`${definition.metadata.name}.yaml`).to.equal(name);
      expect(definition.metadata.name).to.equal(`${definition.spec.names.plural}.security.istio.io`);
      expect(definition.spec.scope).to.equal('Namespaced');
    });

    it('serves v1 and v1beta1 with the same schema, and stores v1', () => {
      expect(definition.spec.versions.map(({ name: version, served, storage }) => [version, served, storage])).to.deep.equal([
        ['v1', true, true],
        ['v1beta1', true, false],
      ]);
      expect(v1beta1?.schema).to.deep.equal(v1?.schema);
    });

    it('preserves unknown fields of the status, and prunes those of the spec', () => {
      const { spec, status } = v1?.schema.openAPIV3Schema.properties ?? { spec: {}, status: {} };

      expect(status['x-kubernetes-preserve-unknown-fields']).to.equal(true);
      expect(JSON.stringify(spec)).to.not.contain('x-kubernetes-preserve-unknown-fields');
    });

    it('describes every field of the spec', () => {
      const bare = [...schemasOf(v1?.schema.openAPIV3Schema.properties.spec, 'spec')]
        .filter(
          ([path, schema]) => !path.endsWith('.items') && !path.endsWith('.additionalProperties') && schema['description'] === undefined,
        )
        .map(([path]) => path);

      expect(bare).to.deep.equal([]);
    });

    it('uses only schema keywords that a structural schema allows', () => {
      for (const [path, schema] of schemasOf(v1?.schema.openAPIV3Schema.properties.spec, 'spec')) {
        expect(schema, path).to.not.have.any.keys('$ref', '$schema', 'const', 'additionalItems', 'exclusiveMinimum');
        if (schema['additionalProperties'] !== undefined) expect(schema['additionalProperties'], path).to.be.an('object');
      }
    });
  });
}
