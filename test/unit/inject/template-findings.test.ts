import { expect } from 'chai';
import { injectManifest } from '../../../src/inject/inject-manifest.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const settings = { image: 'example/agent:1', version: '1', trust: TRUST };
const service = (ports: string): string =>
  `---\napiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { selector: { app: a }, ports: [${ports}] }\n`;
const pod = (spec: string, annotations = '{}'): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: p, labels: { app: a }, annotations: ${annotations} }\nspec: ${spec}\n`;
const app = (fields: string): string => `{ containers: [{ name: c, image: x, ${fields} }] }`;
const PORT = 'ports: [{ containerPort: 8080 }]';

describe('ports that no container declares', () => {
  const cases: readonly (readonly [name: string, manifest: string])[] = [
    ['no port at all', pod(app('args: []'))],
    ['a Service with another target', pod(app(PORT)) + service('{ port: 80, targetPort: 3000 }')],
    ['a probe', pod(app(`${PORT}, readinessProbe: { httpGet: { port: 1 } }`))],
    ['a scrape port', pod(app(PORT), '{ prometheus.io/port: "9102" }')],
  ];
  for (const [name, manifest] of cases) {
    it(`are captured without a warning: ${name}`, () => {
      expect(injectManifest(manifest, settings).findings).to.deep.equal([]);
    });
  }
});

describe('lifecycle hooks over HTTP', () => {
  const hook = (request: string, annotations = '{}'): readonly string[] =>
    injectManifest(pod(app(`${PORT}, lifecycle: { preStop: { httpGet: ${request} } }`), annotations), settings).findings.map(
      ({ path, message }) => `${path}: ${message}`,
    );

  it('are reported, when injection may not rewrite them, as passing through the policies', () => {
    const asWritten = '{ sallyport.dev/rewrite-probes: "false" }';
    expect(hook('{ port: 8080, path: /drain }', asWritten)[0]).to.match(
      /^spec.containers\[c\].lifecycle.preStop.httpGet: .*policies may deny it/,
    );
    expect(hook('{ port: "8080" }', asWritten)[0]).to.match(/policies may deny it/);
    expect(hook('{ port: 9 }', asWritten)[0]).to.match(/policies may deny it/);
  });

  it('are not reported when they are rewritten, or do not reach the agent', () => {
    expect(hook('{ port: 8080, path: /drain }')).to.deep.equal([]);
    expect(hook('{ port: 9 }')).to.deep.equal([]);
    expect(hook('{ port: 8080, host: other }')).to.deep.equal([]);
    expect(hook('{ port: 8080 }', '{ sallyport.dev/exclude-inbound-ports: "8080" }')).to.deep.equal([]);
    expect(hook('{ port: 8080 }', '{ traffic.sidecar.istio.io/includeInboundPorts: "9" }')).to.have.length(1);
  });
});

describe('what else a template has', () => {
  const pathsOf = (manifest: string): readonly string[] =>
    injectManifest(manifest, settings).findings.map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

  it("is warned of: a UDP port, Istio's proxy, its ambient mesh", () => {
    expect(pathsOf(pod(app('ports: [{ name: quic, containerPort: 443, protocol: UDP }]')))[0]).to.match(
      /^warning spec.containers\[c\].ports\[quic\]: UDP port 443 is not captured/,
    );
    expect(pathsOf(pod('{ containers: [{ name: c, image: x }, { name: istio-proxy, image: y }] }'))[0]).to.match(
      /^warning spec.containers\[istio-proxy\]: .*both data planes/,
    );
    const ambient = pod(app(PORT)).replace('app: a', 'app: a, istio.io/dataplane-mode: ambient');
    expect(pathsOf(ambient)[0]).to.match(/^warning metadata.labels\[istio.io\/dataplane-mode\]: .*ambient/);
    expect(pathsOf(ambient.replace('ambient', 'none'))).to.deep.equal([]);
  });

  it('is recorded for an event on the pod', () => {
    const { text } = injectManifest(pod(app('ports: [{ containerPort: 53, protocol: UDP }]')), settings);

    expect(text).to.match(/"warnings":\["spec.containers\[c\].ports\[53\]: UDP port 53 is not captured/);
  });
});
