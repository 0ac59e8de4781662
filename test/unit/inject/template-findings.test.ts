import { expect } from 'chai';
import { injectManifest } from '../../../src/inject/inject-manifest.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const settings = { image: 'example/agent:1', version: '1', trust: TRUST };
const service = (ports: string, selector = '{ app: a }'): string =>
  `---\napiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { selector: ${selector}, ports: [${ports}] }\n`;
const pod = (spec: string, annotations = '{}'): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: p, labels: { app: a }, annotations: ${annotations} }\nspec: ${spec}\n`;
const app = (fields: string): string => `{ containers: [{ name: c, image: x, ${fields} }] }`;
const PORT = 'ports: [{ containerPort: 8080 }]';

describe('ports that something asks for and no container declares', () => {
  const cases: readonly (readonly [name: string, manifest: string, messages: readonly RegExp[]])[] = [
    ['no port at all', pod(app('args: []')), [/declares no port/]],
    ['no port in a Job', pod('{ restartPolicy: Never, containers: [{ name: c, image: x }] }'), []],
    ['no port in a CronJob that is retried', pod('{ restartPolicy: OnFailure, containers: [{ name: c, image: x }] }'), []],
    ['no port but an excluded one', pod(app('args: []'), '{ sallyport.dev/exclude-inbound-ports: "5432" }'), []],
    ['no port but an included one', pod(app('args: []'), '{ sallyport.dev/include-inbound-ports: "5432" }'), []],
    ['a port', pod(app(PORT)), []],
    ['a Service with another target', pod(app(PORT)) + service('{ port: 80, targetPort: 3000 }'), [/^Service s names port 3000/]],
    ['a Service with another port and no target', pod(app(PORT)) + service('{ port: 81 }'), [/^Service s names port 81/]],
    ['a Service with the right target', pod(app(PORT)) + service('{ port: 80, targetPort: 8080 }'), []],
    ['a Service with a UDP port', pod(app(PORT)) + service('{ port: 53, protocol: UDP }'), []],
    ['a Service of other pods', pod(app(PORT)) + service('{ port: 81 }', '{ app: b }'), []],
    ['a Service without a selector', pod(app(PORT)) + service('{ port: 81 }', '{}'), []],
    ['an HTTP probe', pod(app(`${PORT}, readinessProbe: { httpGet: { port: 1 } }`)), [/^the readinessProbe of c names port 1,/]],
    ['a TCP probe', pod(app(`${PORT}, livenessProbe: { tcpSocket: { port: 2 } }`)), [/livenessProbe of c names port 2,/]],
    ['a gRPC probe', pod(app(`${PORT}, startupProbe: { grpc: { port: 3 } }`)), [/startupProbe of c names port 3,/]],
    ['a probe of another host', pod(app(`${PORT}, livenessProbe: { httpGet: { host: h, port: 4 } }`)), []],
    ['a command as probe', pod(app(`${PORT}, livenessProbe: { exec: { command: [x] } }`)), []],
    ['a scrape port', pod(app(PORT), '{ prometheus.io/port: "9102" }'), [/annotation prometheus.io\/port names port 9102/]],
    [
      'one port that two things name',
      pod(app(`${PORT}, livenessProbe: { tcpSocket: { port: 7 } }`), '{ prometheus.io/port: "7" }'),
      [/^the livenessProbe of c and annotation prometheus.io\/port name port 7/],
    ],
  ];
  for (const [name, manifest, messages] of cases) {
    it(`are${messages.length === 0 ? ' not' : ''} reported: ${name}`, () => {
      const { findings } = injectManifest(manifest, settings);
      expect(findings.map(({ severity }) => severity)).to.deep.equal(messages.map(() => 'warning'));
      messages.forEach((message, at) => expect(findings[at]?.message).to.match(message));
    });
  }

  it('are found in the Services of other files', () => {
    const others = [{ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { selector: { app: 'a' }, ports: [{ port: 5 }] } }];
    expect(injectManifest(pod(app(PORT)), settings, others).findings.map(({ message }) => message)).to.match(/Service s names port 5/);
  });
});

describe('lifecycle hooks over HTTP', () => {
  const hook = (request: string, annotations = '{}'): readonly string[] =>
    injectManifest(pod(app(`${PORT}, lifecycle: { preStop: { httpGet: ${request} } }`), annotations), settings).findings.map(
      ({ path, message }) => `${path}: ${message}`,
    );

  it('are reported as passing through the policies, or as reset', () => {
    expect(hook('{ port: 8080, path: /drain }')[0]).to.match(/^spec.containers\[c\].lifecycle.preStop.httpGet: .*policies may deny it/);
    expect(hook('{ port: "8080" }')[0]).to.match(/policies may deny it/);
    expect(hook('{ port: 9 }')[0]).to.match(/port 9, which the pod does not declare/);
  });

  it('are not reported when they do not reach the agent', () => {
    expect(hook('{ port: 8080, host: other }')).to.deep.equal([]);
    expect(hook('{ port: 8080 }', '{ sallyport.dev/exclude-inbound-ports: "8080" }')).to.deep.equal([]);
  });
});
