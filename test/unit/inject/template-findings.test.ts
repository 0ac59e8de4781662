import { expect } from 'chai';
import { injectManifest } from '../../../src/inject/inject-manifest.ts';
import { injectPodTemplate } from '../../../src/inject/inject-pod.ts';
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

  it('is warned of: a UDP port', () => {
    expect(pathsOf(pod(app('ports: [{ name: quic, containerPort: 443, protocol: UDP }]')))[0]).to.match(
      /^warning spec.containers\[c\].ports\[quic\]: UDP port 443 is not captured/,
    );
  });

  describe("of Istio's data plane", () => {
    const proxy = pod('{ containers: [{ name: c, image: x }], initContainers: [{ name: istio-proxy, image: y, restartPolicy: Always }] }');
    const ambient = pod(app(PORT)).replace('app: a', 'app: a, istio.io/dataplane-mode: ambient');
    const outcome = (manifest: string, istioPods?: 'refuse' | 'inject' | 'skip'): readonly [boolean, string] => {
      const { text, findings } = injectManifest(manifest, { ...settings, ...(istioPods !== undefined && { istioPods }) });
      return [text.includes('sallyport-agent'), findings.map(({ severity, path, message }) => `${severity} ${path}: ${message}`).join()];
    };

    it('is refused, because two data planes in one pod redirect its connections', () => {
      for (const istioPods of [undefined, 'refuse'] as const) {
        expect(outcome(proxy, istioPods)[0]).to.equal(false);
        expect(outcome(proxy, istioPods)[1]).to.match(/^error spec.containers\[istio-proxy\]: .*both data planes/);
        expect(outcome(ambient, istioPods)[1]).to.match(/^error metadata.labels\[istio.io\/dataplane-mode\]: .*ambient/);
      }
      expect(outcome(ambient.replace('ambient', 'none'))).to.deep.equal([true, '']);
    });

    it('gets an agent in addition, with a warning, where the installation says so', () => {
      for (const manifest of [proxy, ambient]) {
        const [injected, findings] = outcome(manifest, 'inject');
        expect(injected).to.equal(true);
        expect(findings).to.match(/^warning .*both data planes/);
      }
    });

    it('is left to enforce alone, with a warning, where the installation says so', () => {
      for (const manifest of [proxy, ambient]) {
        const [injected, findings] = outcome(manifest, 'skip');
        expect(injected).to.equal(false);
        expect(findings).to.match(/^warning .*not injected: .* is to enforce/);
      }
    });
  });

  describe('of a namespace in the ambient mesh of Istio', () => {
    const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }\n---\n';
    const inShop = (labels = ''): string =>
      namespace +
      pod(app(PORT))
        .replace(/metadata: \{/, 'metadata: { namespace: shop,')
        .replace('app: a', `app: a${labels}`);
    const outcome = (manifest: string, istioPods: 'refuse' | 'inject' | 'skip'): string => {
      const { text, findings } = injectManifest(manifest, { ...settings, istioPods });
      return `${text.includes('sallyport-agent')} ${findings.map(({ severity, path, message }) => `${severity} ${path}: ${message}`).join()}`;
    };

    it('counts like the label of the pod, unless the pod opts out', () => {
      expect(outcome(inShop(), 'refuse')).to.match(/^false error .*metadata.namespace: the label .* of the namespace puts the pod into/);
      expect(outcome(inShop(), 'inject')).to.match(/^true warning .*metadata.namespace: .*both data planes/);
      expect(outcome(inShop(), 'skip')).to.match(/^false warning .*metadata.namespace: not injected: .* is to enforce/);
      expect(outcome(inShop(', istio.io/dataplane-mode: none'), 'refuse')).to.equal('true ');
    });
  });

  it('loses its agent where Istio is to enforce and its proxy was added after the agent', () => {
    const bare = {
      metadata: { name: 'p', labels: {} },
      spec: { containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 8080 }] }] },
    };
    const context = { workload: { kind: 'pod', name: 'p' }, settings: { ...settings, istioPods: 'skip' } } as const;
    const { pod: guarded } = injectPodTemplate(bare, context);
    const withProxy = (spec: unknown): object => {
      const { containers } = spec as typeof bare.spec;
      return { ...(spec as object), containers: [...containers, { name: 'istio-proxy', image: 'y' }] };
    };

    const { pod: result, changed } = injectPodTemplate({ ...guarded, spec: withProxy(guarded['spec']) }, context);
    expect(changed).to.equal(true);
    expect(result['spec']).to.deep.equal(withProxy(bare.spec));
  });

  it('is recorded for an event on the pod', () => {
    const { text } = injectManifest(pod(app('ports: [{ containerPort: 53, protocol: UDP }]')), settings);

    expect(text).to.match(/"warnings":\["spec.containers\[c\].ports\[53\]: UDP port 53 is not captured/);
    const open = injectManifest(pod(app(PORT), '{ traffic.sidecar.istio.io/includeInboundPorts: "8080" }'), settings).text;
    expect(open).to.match(/"warnings":\["metadata.annotations\[traffic[^"]*: only ports 8080 are captured/);
  });
});
