import { expect } from 'chai';
import type { Finding } from '../../../src/errors.ts';
import { findTemplateProblems, injectPodTemplate } from '../../../src/inject/inject-pod.ts';
import { settingsOfPod } from '../../../src/inject/pod-settings.ts';
import type { InjectionSettings } from '../../../src/inject/settings.ts';
import { findUnknownAnnotations } from '../../../src/inject/unknown-annotations.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const BASE: InjectionSettings = { image: 'agent', version: '1', trust: TRUST };
const own = (annotations: Readonly<Record<string, string>>): object =>
  Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`sallyport.dev/${name}`, value]));

const LIMITED = { requests: { cpu: '20m', memory: '64Mi' }, limits: { cpu: '200m', memory: '128Mi' } };

/** The resources of both containers. */
const both = (resources: NonNullable<InjectionSettings['resources']>): Partial<InjectionSettings> => ({
  resources,
  initResources: resources,
});

describe('settings of the agent of one pod', () => {
  const CASES: readonly (readonly [
    what: string,
    settings: Partial<InjectionSettings>,
    annotations: Readonly<Record<string, string>>,
    expected: object,
    clamped: number,
  ])[] = [
    ['none', {}, {}, {}, 0],
    ['a lower connection limit', {}, { 'max-connections': '50' }, { maxConnections: 50 }, 0],
    ['a connection limit above the default', {}, { 'max-connections': '20000' }, { maxConnections: 10_000 }, 1],
    ['one above that of the installation', { maxConnections: 100 }, { 'max-connections': '101' }, { maxConnections: 100 }, 1],
    [
      'one within the bound',
      { maxConnections: 100, bounds: { maxConnections: 500 } },
      { 'max-connections': '400' },
      { maxConnections: 400 },
      0,
    ],
    ['a longer drain time', {}, { 'drain-seconds': '11' }, { drainSeconds: 10 }, 1],
    ['a longer drain time within the bound', { bounds: { drainSeconds: 60 } }, { 'drain-seconds': '30.5' }, { drainSeconds: 30.5 }, 0],
    ['no access log', {}, { 'access-log': 'off' }, { accessLogSampleRate: 0 }, 1],
    ['no access log where it is allowed', { bounds: { accessLogOff: true } }, { 'access-log': 'off' }, { accessLog: 'off' }, 0],
    ['an access log where the installation has none', { accessLog: 'off' }, { 'access-log': 'on' }, { accessLog: 'on' }, 0],
    ['live streams', {}, { 'reevaluate-streams': 'on' }, { reevaluateStreams: 'on' }, 0],
    ['profiles', {}, { 'profiling-port': '6060' }, { profilingPort: 6060 }, 0],
    ['HTTP/1.0', {}, { 'accept-http10': 'on' }, { acceptHttp10: 'on' }, 0],
    ['a sample rate', {}, { 'access-log-sample-rate': '0.1' }, { accessLogSampleRate: 0.1 }, 0],
    ['a log level', {}, { 'log-level': 'debug' }, { logLevel: 'debug' }, 0],
    [
      'a CPU limit of the init container',
      {},
      { 'init-cpu-limit': '50m' },
      { initResources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '128Mi', cpu: '50m' } } },
      0,
    ],
    [
      'more memory than the installation allows',
      {},
      { 'agent-memory-limit': '1Gi' },
      both({ requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '256Mi' } }),
      1,
    ],
    [
      'a limit below the request, which follows',
      {},
      { 'agent-memory-limit': '32Mi' },
      both({ requests: { cpu: '20m', memory: '32Mi' }, limits: { memory: '32Mi' } }),
      0,
    ],
    ['no resources of the init container, which has those of the agent', { resources: LIMITED }, {}, both(LIMITED), 0],
    [
      'a CPU limit of the agent, which the init container has, too',
      { resources: LIMITED },
      { 'agent-cpu-limit': '100m' },
      both({ ...LIMITED, limits: { ...LIMITED.limits, cpu: '100m' } }),
      0,
    ],
    [
      'a CPU limit of the agent where the init container has its own resources',
      { resources: LIMITED, initResources: { limits: { cpu: '50m' } } },
      { 'agent-cpu-limit': '100m' },
      { resources: { ...LIMITED, limits: { ...LIMITED.limits, cpu: '100m' } } },
      0,
    ],
    ['a probe', {}, { 'readiness-period-seconds': '2' }, { readinessProbe: { periodSeconds: 2 } }, 0],
  ];
  for (const [what, settings, annotations, expected, clamped] of CASES) {
    it(`follow annotations that ask for ${what}`, () => {
      const result = settingsOfPod({ ...BASE, ...settings }, { ...own(annotations) });
      expect(result.settings).to.deep.equal({ ...BASE, ...settings, ...expected });
      expect(result.clamped).to.have.length(clamped);
      expect(result.findings.map(({ severity }) => severity)).to.deep.equal(result.clamped.map(() => 'warning'));
    });
  }

  const INVALID = { 'max-connections': '0', 'drain-seconds': '-1', 'access-log': 'false', 'access-log-sample-rate': '1.1' };
  for (const [name, value] of [
    ...Object.entries(INVALID),
    ['log-level', 'loud'],
    ['agent-cpu', 'half'],
    ['startup-failure-threshold', '1.5'],
    ['profiling-port', '80'],
    ['profiling-port', '15020'],
    ['profiling-port', '15007'],
  ] as const) {
    it(`are refused when ${name} is ${value}`, () => {
      const { findings } = settingsOfPod(BASE, { ...own({ [name]: value }) });
      expect(findings.map(({ code, severity }) => `${severity} ${code}`)).to.deep.equal(['error SP_ANNOTATION']);
    });
  }
});

describe('the port for profiles', () => {
  const found = (port: string, annotations: Readonly<Record<string, string>> = {}): readonly string[] => {
    const spec = {
      initContainers: [{ name: 'sidecar', restartPolicy: 'Always', ports: [{ containerPort: 7070 }] }],
      containers: [{ name: 'a', ports: [{ containerPort: 8080 }, { containerPort: 6060, protocol: 'UDP' }] }],
    };
    const pod = { metadata: { annotations: own({ 'profiling-port': port, ...annotations }) }, spec };
    const errorsOf = (findings: readonly Finding[]): readonly string[] =>
      findings.flatMap(({ severity, path, message }) => (severity === 'error' ? [`${path}: ${message}`] : []));
    const injected = errorsOf(injectPodTemplate(pod, { workload: { kind: 'deployment', name: 'a' }, settings: BASE }).findings);
    expect(errorsOf(findTemplateProblems(pod, []))).to.deep.equal(injected);
    return injected;
  };
  const refused = (port: string): readonly string[] => [
    `metadata.annotations[sallyport.dev/profiling-port]: "${port}" is not free: the application uses it`,
  ];

  it('is refused when a container or an annotation names it, because the application could not listen on it', () => {
    for (const port of ['8080', '7070']) expect(found(port)).to.deep.equal(refused(port));
    expect(found('9000', { 'exclude-inbound-ports': '9000' })).to.deep.equal(refused('9000'));
    expect(found('9000', { 'include-inbound-ports': '9000' })).to.deep.equal(refused('9000'));
  });

  it('may be any other', () => {
    expect(found('6060')).to.deep.equal([]);
  });
});

describe('ports that an annotation excludes', () => {
  const pod = {
    metadata: { annotations: own({ 'exclude-inbound-ports': '5432' }) },
    spec: { containers: [{ name: 'a', ports: [{ containerPort: 8080 }, { containerPort: 5432 }] }] },
  };
  const statusOf = (
    settings: InjectionSettings,
    rootPolicies: readonly string[],
  ): { readonly ports: readonly number[]; readonly clamped?: unknown } => {
    const { pod: injected } = injectPodTemplate(pod, { workload: { kind: 'deployment', name: 'a' }, settings, rootPolicies });
    const { annotations } = injected['metadata'] as { readonly annotations: Readonly<Record<string, string>> };
    return JSON.parse(annotations['sallyport.dev/agent'] ?? '{}');
  };

  it('are captured nevertheless when a policy of the root namespace selects the pod', () => {
    expect(statusOf(BASE, []).ports).to.deep.equal([8080]);
    expect(statusOf(BASE, ['istio-system/all']).ports).to.deep.equal([5432, 8080]);
    expect(statusOf(BASE, ['istio-system/all']).clamped).to.have.length(1);
    expect(statusOf({ ...BASE, bounds: { excludePorts: 'all' } }, ['istio-system/all']).ports).to.deep.equal([8080]);
  });
});

describe('unknown annotations', () => {
  const cases: readonly (readonly [name: string, hint: string | undefined])[] = [
    ['sallyport.dev/exclude-inbound-port', 'did you mean "sallyport.dev/exclude-inbound-ports"?'],
    ['sallyport.dev/rewrite-probe', 'did you mean "sallyport.dev/rewrite-probes"?'],
    ['sallyport.dev/max-connection', 'did you mean "sallyport.dev/max-connections"?'],
    ['sallyport.dev/injection', '"sallyport.dev/injection" is a label'],
    ['sallyport.dev/something-else-altogether', undefined],
  ];
  for (const [name, hint] of cases) {
    it(`are reported: ${name}`, () => {
      const [finding] = findUnknownAnnotations({ [name]: 'x', 'example.com/other': 'y', 'sallyport.dev/access-log': 'on' });
      expect(finding).to.include({ code: 'SP_ANNOTATION', severity: 'warning', path: `metadata.annotations[${name}]` });
      expect(finding?.hint).to.equal(hint);
    });
  }
});
