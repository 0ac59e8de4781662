import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { runCommand } from '../../../support/cli-context.ts';
import { SIGNER } from '../../../support/signing.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const schema = JSON.parse(readFileSync(new URL('../../../../docs/reference/output.schema.json', import.meta.url), 'utf8')) as object;
const validate = new Ajv({ strict: false }).compile(schema);

const FILES = {
  'p/a.yaml': `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: a, namespace: foo }
spec: { rules: [{ to: [{ operation: { paths: ["/a"], methods: [get] } }] }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
`,
  'q/a.yaml': `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: a, namespace: foo }
spec: { rules: [{}] }
`,
  'invariants.yaml':
    'invariants: [{ name: closed, workloads: { namespaces: [foo] }, onlyFrom: { from: [{ source: { ipBlocks: [10.0.0.1] } }] } }]\n',
  'anchor.json': SIGNER.anchor,
  'bundle.yaml': 'kind: ConfigMap\nmetadata: { namespace: foo, name: x }\ndata: { part: x }\n',
  'p/a.sallyport-test.yaml': 'workload: foo/web\ntests: [{ name: t, request: { path: /a }, expect: deny }]\n',
};

describe('docs/reference/output.schema.json', () => {
  for (const [kind, args] of [
    ['CheckResult', ['check', 'p']],
    ['Bundles', ['compile', 'p']],
    ['Bundle', ['compile', 'p', '--workload', 'foo/web']],
    ['Explanation', ['explain', 'p', '--url', '/a']],
    ['TestReport', ['test', 'p']],
    ['Comparison', ['diff', 'p', 'p', '--generate', '20']],
    ['Proof', ['diff', 'p', 'q']],
    ['InvariantProof', ['prove', 'p', '--invariants', 'invariants.yaml']],
    ['Version', ['version']],
    ['BundleVerification', ['bundle', 'verify', '--trust-anchor', 'anchor.json', 'bundle.yaml']],
  ] as const) {
    it(`describes what ${args.join(' ')} -o json prints`, async () => {
      const { stdout } = await withDirectory(FILES, (cwd) => runCommand([...args, '-o', 'json'], { cwd }));
      const value = JSON.parse(stdout) as { readonly apiVersion: string; readonly kind: string };

      expect([value.apiVersion, value.kind]).to.deep.equal(['cli.sallyport.dev/v1', kind]);
      expect(validate(value), JSON.stringify(validate.errors)).to.equal(true);
    });
  }
});
