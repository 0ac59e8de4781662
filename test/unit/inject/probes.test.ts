/* Rewriting of probes, and the probes that the agent performs instead. */
import { expect } from 'chai';
import { loadAgentConfig } from '../../../src/config/agent.ts';
import { injectPodTemplate, removeAgent } from '../../../src/inject/inject-pod.ts';
import { restoreProbes, rewriteProbes } from '../../../src/inject/probes.ts';
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

describe('lifecycle hooks over HTTP', () => {
  const agentHook = (word: string): Raw => ({ httpGet: { path: `/app-health/app/${word}`, port: 15020, scheme: 'HTTP' } });

  const rewritten: readonly (readonly [string, Raw, Raw])[] = [
    ['a named port', { path: '/drain', port: 'http' }, { path: '/drain', port: 8080 }],
    ['a port in a string, without a path', { port: '81' }, { port: 81 }],
    [
      'HTTPS with headers',
      { path: '/x?y=1', port: 8443, scheme: 'HTTPS', httpHeaders: [{ name: 'X-A', value: 'b' }] },
      { path: '/x?y=1', port: 8443, scheme: 'HTTPS', httpHeaders: [{ name: 'X-A', value: 'b' }] },
    ],
  ];
  for (const [name, httpGet, original] of rewritten) {
    it(`are rewritten and restored: ${name}`, () => {
      const lifecycle = { postStart: { httpGet }, preStop: { httpGet }, stopSignal: 'SIGQUIT' };
      const { containers, probes } = rewriteProbes([{ name: 'app', ports, lifecycle }], 45);

      expect(probes).to.deep.equal({
        'app/poststartz': { httpGet: original },
        'app/prestopz': { httpGet: original, timeoutSeconds: 45 },
      });
      expect(containers).to.deep.equal([
        { name: 'app', ports, lifecycle: { postStart: agentHook('poststartz'), preStop: agentHook('prestopz'), stopSignal: 'SIGQUIT' } },
      ]);
      expect(restoreProbes(containers, probes)).to.deep.equal([
        { name: 'app', ports, lifecycle: { postStart: { httpGet: original }, preStop: { httpGet: original }, stopSignal: 'SIGQUIT' } },
      ]);
    });
  }

  const kept: readonly (readonly [string, Raw])[] = [
    ['a command', { exec: { command: ['drain'] } }],
    ['a pause', { sleep: { seconds: 5 } }],
    ['another host', { httpGet: { host: 'example.com', port: 80 } }],
    ['a port that does not exist', { httpGet: { port: 'nosuch' } }],
  ];
  for (const [name, preStop] of kept) {
    it(`are not rewritten: ${name}`, () => {
      const container = { name: 'app', ports, lifecycle: { preStop } };

      expect(rewriteProbes([container])).to.deep.equal({ containers: [container], probes: {} });
    });
  }

  for (const [grace, seconds] of [
    [undefined, 30],
    [0, 1],
    [-1, 1],
    [600, 600],
    [86_400, 3600],
    ['soon', 30],
  ] as const) {
    it(`of preStop may take as long as the grace period: ${grace}`, () => {
      const { probes } = rewriteProbes([{ name: 'app', lifecycle: { preStop: { httpGet: { port: 1 } } } }], grace);

      expect(probes['app/prestopz']?.timeoutSeconds).to.equal(seconds);
    });
  }

  it('of sidecars and containers are passed to the agent, which accepts them', () => {
    const lifecycle = { preStop: { httpGet: { port: 8080, path: '/bye' } } };
    const spec = {
      initContainers: [{ name: 'side', restartPolicy: 'Always', lifecycle }],
      containers: [{ name: 'app', ports, lifecycle }],
      terminationGracePeriodSeconds: 7,
    };
    const { pod, findings } = injectPodTemplate(
      { spec },
      { workload: { kind: 'deployment', name: 'w' }, settings: { image: 'i', version: '1', trust: TRUST } },
    );

    expect(findings).to.deep.equal([]);
    const agent = ((pod['spec'] as Raw)['initContainers'] as Raw[]).find(({ name }) => name === 'sallyport-agent');
    const env = Object.fromEntries(
      ((agent?.['env'] ?? []) as { name: string; value?: string }[]).map(({ name, value }) => [name, value ?? '']),
    );
    const hook = { httpGet: { port: 8080, path: '/bye' }, timeoutSeconds: 7 };
    expect(loadAgentConfig([], { SALLYPORT_APP_PROBES: env['SALLYPORT_APP_PROBES'] }).appProbes).to.deep.equal({
      'side/prestopz': hook,
      'app/prestopz': hook,
    });
    expect(removeAgent(pod)['spec']).to.deep.equal(spec);
  });
});
