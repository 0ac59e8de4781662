/* Every recorded case compiles to a bundle that is encoded and decoded without a difference. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { decodeBundle } from '../../../src/bundle/decode.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import { selectFrom } from '../../support/select-policies.ts';

interface Case {
  readonly workload: { readonly namespace: string; readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly meshConfig?: { readonly rootNamespace?: string };
  readonly resources: readonly unknown[];
}

const provider = {
  name: 'authz',
  protocol: 'grpc',
  service: 'authz.foo.svc.cluster.local',
  port: 9000,
  timeoutMs: 600_000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: false },
} as const;

for (const directory of ['cases', 'random']) {
  const url = new URL(`../../conformance/${directory}/`, import.meta.url);
  describe(`bundles of recorded ${directory}`, () => {
    it('decode to what was encoded', () => {
      const files = readdirSync(url).filter((name) => name.endsWith('.json'));
      expect(files.length).to.be.greaterThan(100);
      for (const file of files) {
        const { workload, meshConfig, resources } = JSON.parse(readFileSync(new URL(file, url), 'utf8')) as Case;
        const mesh = { ...DEFAULT_MESH_CONFIG, rootNamespace: meshConfig?.rootNamespace ?? 'istio-system', extensionProviders: [provider] };
        const ref = { namespace: workload.namespace, kind: 'deployment', name: workload.name };
        const policies = resources.flatMap((resource) => parsePolicy(resource).value ?? []);
        const { bundle } = compileWorkload({
          workload: ref,
          labelSets: [workload.labels ?? {}],
          policiesFor: selectFrom(policies, ref.namespace, mesh.rootNamespace),
          mesh,
          keySetOf: () => undefined,
        });
        const encoded = encodeBundle(bundle);
        const bytes = { 'bundle.json': Buffer.from(encoded.json), 'bundle.sha256': Buffer.from(encoded.digest) };
        expect(decodeBundle(bytes, ref).bundle, file).to.deep.equal(JSON.parse(encoded.json));
      }
    });
  });
}
