/*
 * Manifests of a directory as pods, protected workloads and findings.
 */
import { expect } from 'chai';
import { parseHostPort, readSnapshot, type SnapshotObjects } from '../../../src/standalone/read-snapshot.ts';
import { parseManifests } from '../../../src/state/manifests.ts';

const read = (yaml: string): SnapshotObjects => readSnapshot(parseManifests(yaml, 'all.yaml'));

const deployment = (annotations: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: httpbin, namespace: foo, annotations: {${annotations}}}
spec:
  template:
    metadata: {labels: {app: httpbin}}
    spec: {serviceAccountName: web, containers: []}
`;

describe('readSnapshot', () => {
  it('creates one running pod per workload, with an agent only when an upstream is set', () => {
    const guarded = read(deployment('sallyport.dev/upstream: "127.0.0.1:8080"'));
    const open = read(deployment(''));

    expect(guarded.pods[0]).to.deep.include({
      namespace: 'foo',
      name: 'httpbin.Deployment',
      labels: { app: 'httpbin' },
      phase: 'Running',
      serviceAccount: 'web',
    });
    expect(guarded.pods[0]).to.have.property('agent');
    expect(guarded.guarded).to.deep.equal([
      {
        workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
        labels: { app: 'httpbin' },
        listen: { host: '127.0.0.1', port: 0 },
        upstream: { host: '127.0.0.1', port: 8080 },
        acceptHttp10: false,
        reevaluateStreams: false,
        appProtocol: 'client',
      },
    ]);
    const http10 = read(deployment('sallyport.dev/upstream: "127.0.0.1:8080", sallyport.dev/accept-http10: "on"'));
    expect(http10.guarded[0]?.acceptHttp10).to.equal(true);
    const again = read(deployment('sallyport.dev/upstream: "127.0.0.1:8080", sallyport.dev/reevaluate-streams: "on"'));
    expect(again.guarded[0]?.reevaluateStreams).to.equal(true);
    const http2 = read(deployment('sallyport.dev/upstream: "127.0.0.1:8080", sallyport.dev/app-protocol: http2'));
    expect(http2.guarded[0]?.appProtocol).to.equal('http2');
    const wrong = read(deployment('sallyport.dev/upstream: "127.0.0.1:8080", sallyport.dev/app-protocol: udp'));
    expect(wrong.guarded).to.deep.equal([]);
    expect(wrong.findings[0]?.message).to.include('is "udp"; http1, http2, tcp, client is expected');
    expect(open.pods[0]?.annotations).to.deep.equal({});
    expect(open.guarded).to.deep.equal([]);
  });

  it('sorts policies by kind, adds the default namespace and ignores other kinds', () => {
    const objects = read(`
apiVersion: security.istio.io/v1beta1
kind: RequestAuthentication
metadata: {name: ra}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ap, namespace: foo}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: foo}
---
apiVersion: v1
kind: Namespace
metadata: {name: foo, labels: {a: b}}
`);

    expect(objects.requestAuthentications.map(({ metadata }) => metadata)).to.deep.equal([{ name: 'ra', namespace: 'default' }]);
    expect(objects.authorizationPolicies.map(({ metadata }) => metadata.name)).to.deep.equal(['ap']);
    expect(objects.pods).to.deep.equal([]);
    expect(objects.namespaces).to.deep.equal([{ name: 'foo', labels: { a: 'b' }, terminating: false }]);
  });

  it('reports file, line, object and annotation when an upstream is invalid', () => {
    const { findings, guarded } = read(deployment('sallyport.dev/upstream: "8080"'));

    expect(guarded).to.deep.equal([]);
    expect(findings[0]?.origin).to.deep.equal({ file: 'all.yaml', line: 2 });
    expect(findings[0]?.message).to.equal('Deployment foo/httpbin: annotation sallyport.dev/upstream is "8080"; host:port is expected');
  });

  const hostPorts: readonly [string, ReturnType<typeof parseHostPort>][] = [
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['http://app.local:8080/', { host: 'app.local', port: 8080 }],
    ['[::1]:443', { host: '::1', port: 443 }],
    ['host:70000', undefined],
    ['host', undefined],
    ['https://host:1', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of hostPorts) {
    it(`parses ${JSON.stringify(text)} as ${JSON.stringify(expected)}`, () => {
      expect(parseHostPort(text)).to.deep.equal(expected);
    });
  }
});

describe('pod templates of other kinds', () => {
  for (const [apiVersion, kind] of [
    ['argoproj.io/v1alpha1', 'Rollout'],
    ['serving.knative.dev/v1', 'Service'],
    ['apps.openshift.io/v1', 'DeploymentConfig'],
    ['apps.kruise.io/v1alpha1', 'CloneSet'],
  ] as const) {
    it(`are workloads by the labels of the template: ${kind}`, () => {
      const { pods } = read(
        `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: web, namespace: shop }\nspec: { template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: web }] } } }\n`,
      );

      expect(pods.map(({ name, labels }) => [name, labels])).to.deep.equal([[`web.${kind}`, { app: 'web' }]]);
    });
  }

  it('are not what a template of another kind of object is', () => {
    expect(read('apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [{ port: 80 }] }\n').pods).to.deep.equal([]);
    expect(
      read('apiVersion: example.com/v1\nkind: Mail\nmetadata: { name: a }\nspec: { template: { spec: { text: b } } }\n').pods,
    ).to.deep.equal([]);
  });
});
