/* Rewriting of probes, and the probes that the agent performs instead. */
import { expect } from 'chai';
import { injectPodTemplate } from '../../../src/inject/inject-pod.ts';
import { rewriteProbes } from '../../../src/inject/probes.ts';
import type { Raw } from '../../../src/inject/raw-json.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const ports = [{ name: 'http', containerPort: 8080 }];

describe('rewriteProbes', () => {
  const rewritten: readonly (readonly [string, Raw, Raw])[] = [
    ['an HTTP probe on a named port', { httpGet: { path: '/x', port: 'http' } }, { httpGet: { path: '/x', port: 8080 } }],
    ['an HTTP probe on a port in a string', { httpGet: { port: '81' } }, { httpGet: { port: 81 } }],
    [
      'headers, scheme and timeout',
      { httpGet: { port: 1, scheme: 'HTTPS', httpHeaders: [{ name: 'Host', value: 'a' }] }, timeoutSeconds: 4, periodSeconds: 9 },
      { httpGet: { port: 1, scheme: 'HTTPS', httpHeaders: [{ name: 'Host', value: 'a' }] }, timeoutSeconds: 4 },
    ],
    ['a TCP probe', { tcpSocket: { port: 'http' } }, { tcpSocket: { port: 8080 } }],
    ['a gRPC probe', { grpc: { port: 9, service: 's' } }, { grpc: { port: 9, service: 's' } }],
  ];
  for (const [name, probe, expected] of rewritten) {
    it(`rewrites ${name}`, () => {
      const { containers, probes } = rewriteProbes([{ name: 'app', ports, livenessProbe: probe }]);

      expect(probes).to.deep.equal({ 'app/livez': expected });
      const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...rest } = probe;
      const httpGet = { path: '/app-health/app/livez', port: 15020, scheme: 'HTTP' };
      expect(containers).to.deep.equal([{ name: 'app', ports, livenessProbe: { ...rest, httpGet } }]);
    });
  }

  const kept: readonly (readonly [string, Raw])[] = [
    ['an exec probe', { exec: { command: ['true'] } }],
    ['a probe of another host', { httpGet: { host: 'example.com', port: 80 } }],
    ['a port that does not exist', { httpGet: { port: 'nosuch' } }],
    ['a probe without a handler', { periodSeconds: 1 }],
  ];
  for (const [name, probe] of kept) {
    it(`does not rewrite ${name}`, () => {
      const container = { name: 'app', ports, readinessProbe: probe };

      expect(rewriteProbes([container])).to.deep.equal({ containers: [container], probes: {} });
    });
  }

  it('names the three probes like Istio', () => {
    const probe = { tcpSocket: { port: 1 } };

    const { probes } = rewriteProbes([{ name: 'a', livenessProbe: probe, readinessProbe: probe, startupProbe: probe }]);

    expect(Object.keys(probes)).to.deep.equal(['a/livez', 'a/readyz', 'a/startupz']);
  });

  for (const annotation of ['sallyport.dev/rewrite-probes', 'sidecar.istio.io/rewriteAppHTTPProbers']) {
    it(`rewrites nothing with ${annotation}: "false"`, () => {
      const container = { name: 'app', ports, readinessProbe: { httpGet: { port: 8080 } } };
      const input = { metadata: { annotations: { [annotation]: 'false' } }, spec: { containers: [container] } };

      const { pod } = injectPodTemplate(input, {
        workload: { kind: 'deployment', name: 'w' },
        settings: { image: 'i', version: '1', trust: TRUST },
      });

      expect((pod['spec'] as Raw)['containers']).to.deep.equal([container]);
      expect(JSON.stringify(pod)).to.not.contain('SALLYPORT_APP_PROBES');
    });
  }
});
