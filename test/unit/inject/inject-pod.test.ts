/* Injection into one pod: what is added, what is rejected, idempotence and removal. */
import { expect } from 'chai';
import { AGENT_ANNOTATION } from '../../../src/api/kube/names.ts';
import { injectPodTemplate, removeAgent } from '../../../src/inject/inject-pod.ts';
import type { Raw } from '../../../src/inject/raw-json.ts';
import { rawListOf, rawOf } from '../../../src/inject/raw-json.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const context = { workload: { kind: 'deployment', name: 'web' }, settings: { image: 'example/agent:1', version: '1.2.3', trust: TRUST } };
const app: Raw = { name: 'app', image: 'example/app:1', ports: [{ name: 'http', containerPort: 8080 }] };

function pod(spec: Raw = {}, metadata: Raw = {}): Raw {
  return { metadata: { labels: { app: 'web' }, ...metadata }, spec: { containers: [app], ...spec } };
}

function annotated(annotations: Record<string, string>, spec: Raw = {}): Raw {
  return pod(spec, { annotations });
}

function namesOf(target: Raw, field: string): readonly unknown[] {
  return rawListOf(rawOf(target['spec'])[field]).map((entry) => entry['name']);
}

function envOf(target: Raw, name: string): unknown {
  const agent = rawListOf(rawOf(target['spec'])['initContainers']).find((container) => container['name'] === 'sallyport-agent');
  return rawListOf(agent?.['env']).find((entry) => entry['name'] === name)?.['value'];
}

describe('injectPodTemplate: what it adds', () => {
  it("adds redirect and agent before the user's containers", () => {
    const input = pod({ initContainers: [{ name: 'migrate' }] });

    const result = injectPodTemplate(input, context);

    expect(result.changed).to.equal(true);
    expect(namesOf(result.pod, 'initContainers')).to.deep.equal(['sallyport-init', 'sallyport-agent', 'migrate']);
    expect(namesOf(result.pod, 'containers')).to.deep.equal(['app']);
  });

  it('records the injection in an annotation', () => {
    const result = injectPodTemplate(annotated({ 'sallyport.dev/exclude-inbound-ports': '9000', other: 'kept' }), context);

    const annotations = rawOf(rawOf(result.pod['metadata'])['annotations']);
    expect(annotations['other']).to.equal('kept');
    expect(JSON.parse(String(annotations[AGENT_ANNOTATION]))).to.deep.equal({
      version: '1.2.3',
      kind: 'deployment',
      workload: 'web',
      bundle: 'sallyport-bundle-deployment.web.0',
      ports: [8080],
      excludedPorts: [9000],
    });
  });

  it('does not modify its input', () => {
    const input = pod({ volumes: [{ name: 'data' }] });
    const before = structuredClone(input);

    injectPodTemplate(input, context);

    expect(input).to.deep.equal(before);
  });

  it('runs the agent without capabilities, root, writable root filesystem and token', () => {
    const result = injectPodTemplate(pod(), context);

    const [, agent] = rawListOf(rawOf(result.pod['spec'])['initContainers']);
    expect(agent?.['securityContext']).to.deep.equal({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: 57020,
      runAsNonRoot: true,
      runAsUser: 57020,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(rawListOf(agent?.['volumeMounts'])).to.deep.include({
      name: 'sallyport-no-token',
      mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
      readOnly: true,
    });
  });

  it('mounts the bundle without subPath and as optional', () => {
    const { pod: injected } = injectPodTemplate(pod(), { ...context, workload: { kind: 'deployment', name: 'x'.repeat(300) } });

    const mounts = rawListOf(rawOf(injected['spec'])['initContainers']).flatMap((container) => rawListOf(container['volumeMounts']));
    expect(mounts.filter((mount) => 'subPath' in mount || 'subPathExpr' in mount)).to.deep.equal([]);
    const [bundle] = rawListOf(rawOf(injected['spec'])['volumes']);
    for (const source of rawListOf(rawOf(bundle?.['projected'])['sources'])) {
      const { name, optional } = rawOf(source['configMap']) as { name: string; optional: boolean };
      expect(optional).to.equal(true);
      expect(name.length).to.be.at.most(253);
    }
  });
});

describe('injectPodTemplate: ports', () => {
  const captures: readonly (readonly [string, Raw, readonly number[], readonly number[]])[] = [
    [
      'each declared TCP port',
      pod({ containers: [{ name: 'a', ports: [{ containerPort: 90 }, { containerPort: 80, protocol: 'TCP' }] }] }),
      [80, 90],
      [],
    ],
    ['no UDP port', pod({ containers: [{ name: 'a', ports: [{ containerPort: 53, protocol: 'UDP' }] }] }), [], []],
    [
      'the ports of sidecars, not of init containers',
      pod({
        initContainers: [
          { name: 's', restartPolicy: 'Always', ports: [{ containerPort: 1 }] },
          { name: 'i', ports: [{ containerPort: 2 }] },
        ],
      }),
      [1, 8080],
      [],
    ],
    ['ports of the include annotation', annotated({ 'sallyport.dev/include-inbound-ports': '7000, 7001' }), [7000, 7001, 8080], []],
    ['no port of the exclude annotation', annotated({ 'sallyport.dev/exclude-inbound-ports': '8080' }), [], [8080]],
    ["no port of Istio's exclude annotation", annotated({ 'traffic.sidecar.istio.io/excludeInboundPorts': '8080' }), [], [8080]],
  ];
  for (const [name, input, ports, excludedPorts] of captures) {
    it(`records ${name} as captured, and redirects every port that is not excluded`, () => {
      const result = injectPodTemplate(input, context).pod;
      const status = JSON.parse(String(rawOf(rawOf(result['metadata'])['annotations'])[AGENT_ANNOTATION])) as object;
      const [redirect] = rawListOf(rawOf(result['spec'])['initContainers']);
      const excluded = [15_020, ...excludedPorts].flatMap((port) => ['--exclude', String(port)]);

      expect(status).to.deep.include({ ports, excludedPorts });
      expect(redirect?.['args']).to.deep.equal(['redirect', '--all', '15006', ...excluded]);
      expect(envOf(result, 'SALLYPORT_CAPTURE_PORT')).to.equal('15006');
    });
  }

  it("redirects the ports of Istio's include annotation only, unless a policy of the root namespace selects the pod", () => {
    const input = annotated({ 'traffic.sidecar.istio.io/includeInboundPorts': '8080' });
    const argsOf = (rootPolicies: readonly string[]) =>
      rawListOf(rawOf(injectPodTemplate(input, { ...context, rootPolicies }).pod['spec'])['initContainers'])[0]?.['args'];

    expect(argsOf([])).to.deep.equal(['redirect', '--all', '15006', '--exclude', '15020', '--only', '8080']);
    expect(argsOf(['istio-system/all'])).to.deep.equal(['redirect', '--all', '15006', '--exclude', '15020']);
  });

  it('warns of a port whose name indicates TLS', () => {
    const input = pod({ containers: [{ name: 'db', ports: [{ name: 'https', containerPort: 8443 }] }] });

    const result = injectPodTemplate(input, context);

    expect(result.changed).to.equal(true);
    expect(result.findings.map(({ severity, path }) => [severity, path])).to.deep.equal([['warning', 'spec.containers[db].ports[https]']]);
  });
});

describe('injectPodTemplate: pods that it does not change', () => {
  const unchanged: readonly (readonly [string, Raw, readonly string[]])[] = [
    ['that opts out by its label', pod({}, { labels: { 'sallyport.dev/injection': 'disabled' } }), []],
    ['that mirrors a static pod', annotated({ 'kubernetes.io/config.mirror': 'x' }), []],
    ['on the host network', pod({ hostNetwork: true }), ['warning SP_NO_AGENT spec.hostNetwork']],
    ['for Windows', pod({ os: { name: 'windows' } }), ['warning SP_NO_AGENT spec.os.name']],
    [
      "with a container that has the agent's name",
      pod({ containers: [{ name: 'sallyport-agent' }] }),
      ['error SP_MANIFEST spec.containers[sallyport-agent]'],
    ],
    [
      "with a volume that has the name of the agent's",
      pod({ volumes: [{ name: 'sallyport-state' }] }),
      ['error SP_MANIFEST spec.volumes[sallyport-state]'],
    ],
    [
      "that listens on the agent's port",
      pod({ containers: [{ name: 'app', ports: [{ containerPort: 15020 }] }] }),
      ['error SP_MANIFEST spec.containers'],
    ],
    [
      'with an annotation that is not a list of ports',
      annotated({ 'sallyport.dev/include-inbound-ports': '70000' }),
      ['error SP_ANNOTATION metadata.annotations[sallyport.dev/include-inbound-ports]'],
    ],
  ];
  for (const [name, input, findings] of unchanged) {
    it(`does not change a pod ${name}`, () => {
      const result = injectPodTemplate(input, context);

      expect(result.pod).to.equal(input);
      expect(result.changed).to.equal(false);
      expect(result.findings.map(({ severity, code, path }) => `${severity} ${code} ${path}`)).to.deep.equal(findings);
    });
  }
});

describe('injectPodTemplate: containers that bypass the agent', () => {
  const capable = pod({ containers: [{ ...app, securityContext: { capabilities: { add: ['NET_ADMIN'] } } }] });
  const refusing = { ...context, settings: { ...context.settings, privilegedContainers: 'refuse' as const } };

  it('warns about them', () => {
    const result = injectPodTemplate(capable, context);

    expect(result.changed).to.equal(true);
    expect(result.findings.map(({ severity, code, message }) => `${severity} ${code} ${message}`)).to.deep.equal([
      'warning SP_PRIVILEGED container app has NET_ADMIN, which bypasses the agent',
    ]);
  });

  it('refuses the pod when the operator wants that', () => {
    const result = injectPodTemplate(capable, refusing);

    expect(result.pod).to.equal(capable);
    expect(result.findings).to.have.lengthOf(1);
    expect(result.findings[0]).to.include({ severity: 'error', code: 'SP_PRIVILEGED' });
  });

  it('refuses a mount of a volume of the agent in any case', () => {
    const mounting = pod({ containers: [{ ...app, volumeMounts: [{ name: 'sallyport-state', mountPath: '/x' }] }] });

    const [finding] = injectPodTemplate(mounting, context).findings;

    expect(finding).to.include({ severity: 'error', message: 'container app mounts sallyport-state, which bypasses the agent' });
  });
});

describe('injectPodTemplate: injected pods', () => {
  it('returns the same pod for a second injection, and the original one when the agent is removed', () => {
    const input = pod({
      initContainers: [{ name: 'proxy', restartPolicy: 'Always', readinessProbe: { tcpSocket: { port: 6000 } } }],
      containers: [{ ...app, livenessProbe: { httpGet: { path: '/', port: 8080, scheme: 'HTTPS' }, timeoutSeconds: 3 } }],
      volumes: [{ name: 'data', emptyDir: {} }],
    });
    const once = injectPodTemplate(input, context).pod;

    const twice = injectPodTemplate(once, context);

    expect(twice.changed).to.equal(false);
    expect(twice.pod).to.equal(once);
    expect(removeAgent(once)).to.deep.equal(input);
  });

  it('drops the digest of a copied pod, which the controller sets', () => {
    const result = injectPodTemplate(annotated({ 'sallyport.dev/bundle-digest': 'sha256:0', kept: 'x' }), context);

    expect(rawOf(rawOf(result.pod['metadata'])['annotations'])).to.have.all.keys('kept', AGENT_ANNOTATION);
  });

  it('rewrites the probes of a container that was added after the first injection', () => {
    const once = injectPodTemplate(pod(), context).pod;
    const spec = rawOf(once['spec']);
    const sidecar = { name: 'late', ports: [{ containerPort: 7000 }], readinessProbe: { httpGet: { port: 7000 } } };
    const changed = { ...once, spec: { ...spec, containers: [...rawListOf(spec['containers']), sidecar] } };

    const again = injectPodTemplate(changed, context);

    expect(again.changed).to.equal(true);
    expect(envOf(again.pod, 'SALLYPORT_APP_PROBES')).to.equal('{"late/readyz":{"httpGet":{"port":7000}}}');
  });

  for (const [timeoutSeconds, path] of [
    [undefined, '/readyz?wait=4.5'],
    [1, '/readyz?wait=0.5'],
    [30, '/readyz?wait=29.5'],
  ] as const) {
    it(`has a readiness probe that waits for a policy, within a timeout of ${timeoutSeconds ?? 'the default'} seconds`, () => {
      const readinessProbe = timeoutSeconds === undefined ? {} : { timeoutSeconds };
      const { pod: injected } = injectPodTemplate(pod(), { ...context, settings: { ...context.settings, readinessProbe } });
      const agent = rawListOf(rawOf(injected['spec'])['initContainers']).find(({ name }) => name === 'sallyport-agent');

      expect(agent?.['readinessProbe']).to.deep.include({ timeoutSeconds: timeoutSeconds ?? 5 });
      expect(rawOf(rawOf(agent?.['readinessProbe'])['httpGet'])['path']).to.equal(path);
    });
  }

  it('injects a pod that has only the annotation', () => {
    const result = injectPodTemplate(annotated({ [AGENT_ANNOTATION]: '{}' }), context);

    expect(result.changed).to.equal(true);
    expect(namesOf(result.pod, 'initContainers')).to.contain('sallyport-agent');
  });
});
