/* The containers and volumes of an injected pod. */
import { expect } from 'chai';
import { type AgentPlan, agentContainer, agentVolumes, redirectContainer } from '../../../src/inject/agent-containers.ts';
import { type Raw, rawListOf } from '../../../src/inject/raw-json.ts';
import { parseRedirect } from '../../../src/inject/redirect/rules.ts';
import { TRUST } from '../../support/guarded-pods.ts';

function plan(more: Partial<AgentPlan> = {}): AgentPlan {
  return {
    settings: { image: 'example/agent:1', version: '1', trust: TRUST },
    workload: { kind: 'deployment', name: 'web' },
    capture: { captured: [80, 8080], excluded: [9000], only: undefined, appProtocols: ['8080:http2'], findings: [] },
    probes: {},
    ...more,
  };
}

function environmentOf(container: Raw): Record<string, unknown> {
  return Object.fromEntries(rawListOf(container['env']).map((entry) => [String(entry['name']), entry['value'] ?? entry['valueFrom']]));
}

describe('redirectContainer', () => {
  it('passes arguments that the redirect parses to the planned capture', () => {
    const [command, ...args] = redirectContainer(plan())['args'] as readonly string[];

    expect(command).to.equal('redirect');
    expect(parseRedirect(args)).to.deep.equal({ maps: [], excluded: [15_020, 9000], rest: 15_006, only: [], ipv6: 'auto' });
  });

  it('redirects only the ports of a list', () => {
    const capture = { captured: [80, 8080], excluded: [], only: [80, 8080], appProtocols: [], findings: [] };
    const [, ...args] = redirectContainer(plan({ capture }))['args'] as readonly string[];

    expect(parseRedirect(args)).to.deep.equal({ maps: [], excluded: [15_020], rest: 15_006, only: [80, 8080], ipv6: 'auto' });
  });

  it('has only the capabilities for iptables, and no ServiceAccount token', () => {
    const container = redirectContainer(plan());

    expect(container['securityContext']).to.deep.include({
      allowPrivilegeEscalation: false,
      capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
    });
    expect(rawListOf(container['volumeMounts']).map(({ mountPath }) => mountPath)).to.include(
      '/var/run/secrets/kubernetes.io/serviceaccount',
    );
  });
});

describe('redirectContainer that waits for the node', () => {
  const container = redirectContainer(plan({ settings: { ...plan().settings, captureMode: 'node' } }));

  it('has the arguments of the redirect, and the UID of its pod', () => {
    const own = redirectContainer(plan())['args'] as readonly string[];

    expect(container['args']).to.deep.equal(['wait', ...own.slice(1)]);
    expect(environmentOf(container)).to.deep.equal({
      POD_UID: { fieldRef: { fieldPath: 'metadata.uid' } },
      NODE_NAME: { fieldRef: { fieldPath: 'spec.nodeName' } },
    });
  });

  it('has no right, as the Pod Security level restricted demands, and no ServiceAccount token', () => {
    expect(container['securityContext']).to.deep.equal({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: 57_020,
      runAsNonRoot: true,
      runAsUser: 57_020,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(rawListOf(container['volumeMounts']).map(({ mountPath }) => mountPath)).to.deep.equal([
      '/var/run/secrets/kubernetes.io/serviceaccount',
    ]);
  });
});

describe('agentContainer', () => {
  it('receives ports, workload and directories by environment', () => {
    expect(environmentOf(agentContainer(plan()))).to.deep.equal({
      POD_IP: { fieldRef: { fieldPath: 'status.podIP' } },
      POD_NAME: { fieldRef: { fieldPath: 'metadata.name' } },
      POD_NAMESPACE: { fieldRef: { fieldPath: 'metadata.namespace' } },
      SALLYPORT_WORKLOAD: 'web',
      SALLYPORT_WORKLOAD_KIND: 'deployment',
      SALLYPORT_BUNDLE_LEVEL: '2',
      SALLYPORT_TRUST_ANCHOR: TRUST.anchor,
      SALLYPORT_BUNDLE_FLOOR: '0',
      SALLYPORT_APP_PROTOCOLS: '8080:http2',
      SALLYPORT_CAPTURE_PORT: '15006',
      SALLYPORT_RENDERING: '3',
      SALLYPORT_ADMIN_PORT: '15020',
      SALLYPORT_BUNDLE_DIR: '/etc/sallyport/bundle',
      SALLYPORT_LABELS_FILE: '/etc/sallyport/pod/labels',
      SALLYPORT_STATE_DIR: '/var/lib/sallyport',
    });
  });

  it('receives probes, level and form of log lines only if they are set', () => {
    const probes = { 'app/livez': { tcpSocket: { port: 80 } } };
    const settings = { image: 'example/agent:1', version: '1', trust: TRUST, logLevel: 'debug', logFormat: 'text' };

    expect(environmentOf(agentContainer(plan({ probes, settings })))).to.include({
      SALLYPORT_APP_PROBES: '{"app/livez":{"tcpSocket":{"port":80}}}',
      SALLYPORT_LOG_LEVEL: 'debug',
      SALLYPORT_LOG_FORMAT: 'text',
    });
  });

  it('receives the port for profiles only if an annotation sets it', () => {
    const settings = { image: 'example/agent:1', version: '1', trust: TRUST };
    expect(environmentOf(agentContainer(plan({ settings })))).to.not.have.property('SALLYPORT_PROFILING_PORT');
    const changed = { ...settings, profilingPort: 6060 };
    expect(environmentOf(agentContainer(plan({ settings: changed })))).to.include({ SALLYPORT_PROFILING_PORT: '6060' });
  });

  it('receives where traces go, by the names of the OpenTelemetry specification', () => {
    const traces = { endpoint: 'http://collector:4318', sampler: 'traceidratio', samplerArg: 0 } as const;
    expect(environmentOf(agentContainer(plan({ settings: { image: 'example/agent:1', version: '1', trust: TRUST, traces } })))).to.include({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0',
    });
    expect(Object.keys(environmentOf(agentContainer(plan()))).filter((name) => name.startsWith('OTEL_'))).to.deep.equal([]);
  });

  it('is a native sidecar whose startup does not depend on a bundle', () => {
    expect(agentContainer(plan())).to.deep.include({
      restartPolicy: 'Always',
      startupProbe: {
        httpGet: { path: '/healthz', port: 15_020, scheme: 'HTTP' },
        initialDelaySeconds: 1,
        periodSeconds: 1,
        timeoutSeconds: 3,
        failureThreshold: 60,
      },
    });
  });

  it('uses pull policy and resources of the settings, and default resources without a CPU limit', () => {
    const resources = { limits: { memory: '1Gi' } };
    const custom = agentContainer(plan({ settings: { image: 'i', version: '1', trust: TRUST, imagePullPolicy: 'Always', resources } }));

    expect(custom).to.deep.include({ imagePullPolicy: 'Always', resources });
    expect(agentContainer(plan())).to.not.have.property('imagePullPolicy');
    expect(agentContainer(plan())['resources']).to.deep.equal({ requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '256Mi' } });
  });
});

describe('agentVolumes', () => {
  it('contain a volume for every mount of both containers', () => {
    const mounted = [redirectContainer(plan()), agentContainer(plan())].flatMap((container) => rawListOf(container['volumeMounts']));
    const names = agentVolumes({ kind: 'deployment', name: 'web' }, plan().settings).map(({ name }) => name);

    expect(names).to.include.members(mounted.map(({ name }) => name));
  });

  it('bring only the files of the three slots and of two copies of the index', () => {
    const [bundle] = agentVolumes({ kind: 'deployment', name: 'web' }, plan().settings);
    const source = (name: string, directory: string): object => ({
      configMap: {
        name,
        optional: true,
        items: ['statement.jws', 'keys.jws', 'part'].map((key) => ({ key, path: `${directory}/${key}` })),
      },
    });
    expect(bundle).to.deep.equal({
      name: 'sallyport-bundle',
      projected: {
        sources: [
          ...[0, 1, 2].map((slot) => source(`sallyport-bundle-deployment.web.${slot}`, `${slot}`)),
          ...[0, 1].map((copy) => source(`sallyport-bundle-index.${copy}`, `index/${copy}`)),
        ],
      },
    });
  });
});
