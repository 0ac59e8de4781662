import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { parse } from 'yaml';
import { chartValuesSchema } from '../../../src/config/chart-values.ts';

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

const schema = chartValuesSchema();
const valuesText = readFileSync(new URL('../../../charts/sallyport/values.yaml', import.meta.url), 'utf8');
const validate = new Ajv({ strict: false }).compile(schema);

function schemaAt(path: string): JsonSchema | undefined {
  return path.split('.').reduce<JsonSchema | undefined>((inner, key) => inner?.properties?.[key], schema);
}

describe('chart values', () => {
  it('accept the defaults of the chart, and no values at all', () => {
    expect(validate(parse(valuesText)), JSON.stringify(validate.errors)).to.equal(true);
    expect(validate({})).to.equal(true);
  });

  it('use no format that JSON Schema does not define: validators warn of them, and check nothing', () => {
    expect(JSON.stringify(schema)).not.to.include('"format":');
  });

  it('refuse unknown keys at every level', () => {
    for (const values of [
      { replicas: 2 },
      { image: { name: 'a' } },
      { webhook: { injection: { enable: true } } },
      { mesh: { rootNamespaces: 'a' } },
    ]) {
      expect(validate(values), JSON.stringify(values)).to.equal(false);
    }
  });

  it('refuse values outside of their range', () => {
    for (const values of [
      { replicaCount: -1 },
      { replicaCount: '2' },
      { workers: 0 },
      { workers: 65 },
      { kubeApi: { qps: 0 } },
      { image: { repository: '' } },
      { image: { digest: 'sha256:abc' } },
      { logLevel: 'loud' },
      { webhook: { port: 65_536 } },
      { webhook: { injection: { failurePolicy: 'fail' } } },
      { webhook: { validation: { timeoutSeconds: 31 } } },
      { jwks: { refresh: '20' } },
      { jwks: { blockedCidrs: '10.0.0.0/8' } },
      { mesh: { pathNormalization: { normalization: 'base' } } },
      { podDisruptionBudget: { minAvailable: -1 } },
    ]) {
      expect(validate(values), JSON.stringify(values)).to.equal(false);
    }
  });

  it('accept what the chart passes on to Kubernetes unchecked', () => {
    const values = {
      affinity: { nodeAffinity: {} },
      tolerations: [{ operator: 'Exists' }],
      resources: { limits: { cpu: 1, memory: '1Gi' } },
      podDisruptionBudget: { minAvailable: '50%' },
      global: { anything: { at: 'all' } },
    };
    expect(validate(values), JSON.stringify(validate.errors)).to.equal(true);
  });

  it("accept a section of Istio's MeshConfig: providers of other purposes, old names, and settings that the templates refuse by name", () => {
    const http = { service: 'login.auth.svc', port: 4180 };
    for (const mesh of [
      { extensionProviders: [{ name: 'traces', opentelemetry: { service: 'collector.obs', port: 4317 } }] },
      {
        extensionProviders: [
          { name: 'traces', zipkin: { service: 'zipkin', port: 9411 } },
          { name: 'metrics', prometheus: {} },
        ],
      },
      { extensionProviders: [{ name: 'logs', envoyFileAccessLog: { path: '/dev/stdout' } }] },
      { extensionProviders: [{ name: 'login', envoyExtAuthzHttp: { ...http, includeHeadersInCheck: ['cookie'] } }] },
      { accessLogFile: '/dev/stdout', enableTracing: true, defaultConfig: { tracing: {} }, rootNamespace: 'istio-system' },
    ]) {
      expect(validate({ mesh }), JSON.stringify([mesh, validate.errors])).to.equal(true);
    }
    for (const mesh of [
      { extensionProviders: [{ name: 'traces', opentelemtry: {} }] },
      { extensionProviders: [{ name: 'a', envoyExtAuthzHttp: http, zipkin: {} }] },
      {
        extensionProviders: [
          { name: 'a', envoyExtAuthzHttp: { ...http, includeHeadersInCheck: ['a'], includeRequestHeadersInCheck: ['a'] } },
        ],
      },
      { accessLogFiles: '/dev/stdout' },
    ]) {
      expect(validate({ mesh }), JSON.stringify(mesh)).to.equal(false);
    }
  });

  it('describe every value that values.yaml documents, in the same words', () => {
    const documented = [...valuesText.matchAll(/^ *## @param (\S+) (.+)$/gm)];
    expect(documented.length).to.be.greaterThan(70);
    for (const [, path = '', text] of documented) expect(schemaAt(path)?.description, path).to.equal(text);
  });
});
