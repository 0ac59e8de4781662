/* Which pods count as guarded: the injected pod, what other webhooks add to it, and every change that takes the guard away. */
import { expect } from 'chai';
import * as names from '../../../../src/api/kube/names.ts';
import { readPodAgent, repositoryOf } from '../../../../src/api/kube/pod-agent.ts';
import { type Fields, fieldsOf, itemsOf } from '../../../../src/api/kube/pod-fields.ts';
import { injected, injectedForNode, renderingTwo, TRUST } from '../../../support/guarded-pods.ts';

const rules = { repositories: ['example/agent', 'example/redirect'] };
const EXCLUDE = 'sallyport.dev/exclude-inbound-ports';

function specOf(annotations: Readonly<Record<string, string>> = {}): Fields {
  const pod = injected({
    metadata: { name: 'web', annotations },
    spec: { containers: [{ name: 'app', ports: [{ containerPort: 8080 }, { containerPort: 9090 }] }] },
  });
  return fieldsOf(pod['spec']);
}

/** The spec with one of its init containers changed. */
function changed(name: string, change: (container: Fields) => Fields): Fields {
  const spec = specOf();
  const initContainers = itemsOf(spec['initContainers']).map((one) => (one['name'] === name ? change(one) : one));
  return { ...spec, initContainers };
}

function withFields(name: string, fields: Fields): Fields {
  return changed(name, (container) => ({ ...container, ...fields }));
}

function withEnv(name: string, ...entries: readonly Fields[]): Fields {
  return changed(name, (container) => ({ ...container, env: [...itemsOf(container['env']), ...entries] }));
}

function replacedEnv(entry: Fields): Fields {
  return changed('sallyport-agent', (container) => ({
    ...container,
    env: itemsOf(container['env']).map((one) => (one['name'] === entry['name'] ? entry : one)),
  }));
}

function withMount(name: string, mount: Fields): Fields {
  return changed(name, (container) => ({ ...container, volumeMounts: [...itemsOf(container['volumeMounts']), mount] }));
}

function withVolume(volume: Fields): Fields {
  const spec = specOf();
  return { ...spec, volumes: itemsOf(spec['volumes']).map((one) => (one['name'] === volume['name'] ? volume : one)) };
}

function withArgs(spec: Fields, ...args: readonly string[]): Fields {
  const initContainers = itemsOf(spec['initContainers']).map((one) => (one['name'] === 'sallyport-init' ? { ...one, args } : one));
  return { ...spec, initContainers };
}

function redirect(...args: readonly string[]): Fields {
  return withFields('sallyport-init', { args });
}

const ALL = ['--all', '15006', '--exclude', '15020'];

function waitingWith(entry: Fields): Fields {
  const spec = fieldsOf(injectedForNode({ metadata: { name: 'web' }, spec: { containers: [{ name: 'app' }] } })['spec']);
  const initContainers = itemsOf(spec['initContainers']).map((container) => ({
    ...container,
    env: itemsOf(container['env']).map((one) => (one['name'] === entry['name'] ? entry : one)),
  }));
  return { ...spec, initContainers };
}

const WEB = { kind: 'pod', name: 'web' };

/** Every annotation of a pod that changes its agent, with a valid value. */
const ANNOTATIONS: Readonly<Record<string, string>> = {
  [names.INCLUDE_PORTS_ANNOTATION]: '8080,9090',
  [names.EXCLUDE_PORTS_ANNOTATION]: '9090',
  [names.ISTIO_INCLUDE_PORTS_ANNOTATION]: '8080',
  [names.REWRITE_PROBES_ANNOTATION]: 'false',
  [names.ACCESS_LOG_ANNOTATION]: 'on',
  [names.ACCESS_LOG_SAMPLE_RATE_ANNOTATION]: '0.5',
  [names.ACCEPT_HTTP10_ANNOTATION]: 'on',
  [names.REEVALUATE_STREAMS_ANNOTATION]: 'on',
  [names.APP_PROTOCOL_ANNOTATION]: 'http2',
  [names.LOG_LEVEL_ANNOTATION]: 'debug',
  [names.PROFILING_PORT_ANNOTATION]: '6060',
  [names.DRAIN_SECONDS_ANNOTATION]: '3',
  [names.MAX_CONNECTIONS_ANNOTATION]: '100',
  [names.AGENT_CPU_ANNOTATION]: '20m',
  [names.AGENT_CPU_LIMIT_ANNOTATION]: '1',
  [names.AGENT_MEMORY_ANNOTATION]: '128Mi',
  [names.AGENT_MEMORY_LIMIT_ANNOTATION]: '256Mi',
  [names.INIT_CPU_ANNOTATION]: '20m',
  [names.INIT_CPU_LIMIT_ANNOTATION]: '1',
  [names.INIT_MEMORY_ANNOTATION]: '32Mi',
  [names.INIT_MEMORY_LIMIT_ANNOTATION]: '64Mi',
  [names.READINESS_PERIOD_ANNOTATION]: '2',
  [names.READINESS_TIMEOUT_ANNOTATION]: '2',
  [names.READINESS_FAILURES_ANNOTATION]: '2',
  [names.STARTUP_FAILURES_ANNOTATION]: '60',
  [names.TLS_ANNOTATION]: 'off',
  [names.TLS_SECRET_ANNOTATION]: 'web-tls',
  [names.TLS_FILES_ANNOTATION]: 'tls.crt,tls.key,ca.crt',
};
/** Annotations of other objects, or of other kinds of injection, and one that excludes another. */
const NOT_OF_INJECTED_PODS = [
  'TLS_VOLUME',
  'AGENT',
  'BUNDLE_TOUCH',
  'UPSTREAM',
  'LISTEN',
  'WORKLOAD_KIND',
  'DIGEST',
  'DRY_RUN',
  'REFRESH_KEYS',
];

describe('an agent with a feed', () => {
  it('guards its pod as any other, and says that it takes bundles from the feed', () => {
    const bare = { metadata: { name: 'web' }, spec: { containers: [{ name: 'app' }] } };
    const withFeed = injected(bare, TRUST, { address: 'sallyport.system.svc:9444', authorities: 'PEM' });
    const spec = fieldsOf(withFeed['spec']);
    expect(readPodAgent(spec, WEB, rules).agent).to.deep.include({ level: 2, hasFeed: true });
    expect(readPodAgent(fieldsOf(injected(bare)['spec']), WEB, rules).agent).not.to.have.property('hasFeed');
    const [agent] = itemsOf(spec['initContainers']).filter(({ name }) => name === 'sallyport-agent');
    expect(itemsOf(agent?.['volumeMounts'])).to.deep.include({
      name: 'sallyport-feed',
      mountPath: '/var/run/secrets/sallyport.dev/feed',
      readOnly: true,
    });
    expect(itemsOf(spec['volumes'])).to.deep.include({
      name: 'sallyport-feed',
      projected: { sources: [{ serviceAccountToken: { audience: 'feed.sallyport.dev', expirationSeconds: 3600, path: 'token' } }] },
    });
  });
});

describe('readPodAgent: guarded pods', () => {
  it('takes a pod that sets any of the annotations, and one that sets all', () => {
    const expected = Object.entries(names).filter(([name]) => name.endsWith('_ANNOTATION'));
    const other = NOT_OF_INJECTED_PODS.map((name) => `${name}_ANNOTATION`);
    expect(Object.keys(ANNOTATIONS)).to.have.members(expected.flatMap(([name, value]) => (other.includes(name) ? [] : [value])));
    for (const [name, value] of Object.entries(ANNOTATIONS)) {
      expect(readPodAgent(specOf({ [name]: value }), WEB, rules).fault, name).to.equal(undefined);
    }
    expect(readPodAgent(specOf(ANNOTATIONS), WEB, rules).agent).to.deep.equal({
      ports: [8080],
      opensOthers: true,
      excluded: [9090],
      level: 2,
    });
  });

  it('reads captured and excluded ports from the redirect', () => {
    expect(readPodAgent(specOf(), WEB, rules)).to.deep.equal({
      agent: { ports: undefined, excluded: [], level: 2 },
      trust: TRUST,
    });
    expect(readPodAgent(specOf({ [EXCLUDE]: '9090' }), WEB, rules).agent).to.deep.equal({ ports: undefined, excluded: [9090], level: 2 });
    expect(readPodAgent(specOf({ [EXCLUDE]: '8080,9090' }), WEB, rules).agent).to.deep.equal({
      ports: undefined,
      excluded: [8080, 9090],
      level: 2,
    });
  });

  it('reads a list of the only captured ports, and that others bypass the agent', () => {
    expect(readPodAgent(redirect('redirect', '--all', '15006', '--exclude', '15020', '--only', '8080'), WEB, rules).agent).to.deep.equal({
      ports: [8080],
      opensOthers: true,
      excluded: [],
      level: 2,
    });
  });

  it('accepts an init container that waits for the redirect by the node', () => {
    const pod = { metadata: { name: 'web', annotations: { [EXCLUDE]: '9090' } }, spec: { containers: [{ name: 'app' }] } };
    expect(readPodAgent(fieldsOf(injectedForNode(pod)['spec']), WEB, rules).agent).to.deep.equal({
      ports: undefined,
      excluded: [9090],
      level: 2,
    });
  });

  it('accepts the redirect of earlier versions: one agent port for each captured port', () => {
    expect(readPodAgent(renderingTwo(specOf(), [8080, 9090]), WEB, rules).agent).to.deep.equal({
      ports: [8080, 9090],
      excluded: [],
      level: 2,
    });
  });

  it('accepts what the API server and webhooks of cloud providers add', () => {
    const mount = { name: 'aws-iam-token', mountPath: '/var/run/secrets/eks.amazonaws.com/serviceaccount', readOnly: true };
    const role = { name: 'AWS_ROLE_ARN', value: 'arn:aws:iam::1:role/x' };
    const defaults = { imagePullPolicy: 'Always', terminationMessagePath: '/dev/termination-log' };

    for (const name of ['sallyport-agent', 'sallyport-init']) {
      expect(readPodAgent(withMount(name, mount), WEB, rules)).to.have.property('agent');
      expect(readPodAgent(withEnv(name, role), WEB, rules)).to.have.property('agent');
      expect(readPodAgent(withFields(name, defaults), WEB, rules)).to.have.property('agent');
    }
  });

  it('accepts an agent of an earlier version: another tag, the earlier user, no rendering', () => {
    const earlier = changed('sallyport-agent', (container) => ({
      ...container,
      image: 'example/agent:0@sha256:abc',
      securityContext: { ...fieldsOf(container['securityContext']), runAsUser: 65_532 },
      env: itemsOf(container['env']).filter(({ name }) => name !== 'SALLYPORT_RENDERING'),
    }));

    expect(readPodAgent(earlier, WEB, rules)).to.have.property('agent');
  });

  it('accepts a pod without ports, whose value the API server drops', () => {
    const bare = fieldsOf(injected({ metadata: { name: 'web' }, spec: { containers: [{ name: 'app' }] } })['spec']);
    const stored = JSON.parse(
      JSON.stringify(renderingTwo(bare, [])).replace('"SALLYPORT_PORTS","value":""', '"SALLYPORT_PORTS"'),
    ) as Fields;

    expect(readPodAgent(stored, WEB, rules).agent).to.deep.equal({ ports: [], excluded: [], level: 2 });
  });

  it('finds nothing in a pod without our containers', () => {
    expect(readPodAgent({ containers: [{ name: 'app' }] }, WEB, rules)).to.deep.equal({});
  });
});

describe('readPodAgent: pods that are not guarded', () => {
  const app: Fields = { containers: [{ name: 'sallyport-agent', image: 'example/agent:1' }] };
  const noInit = (): Fields => ({ ...specOf(), initContainers: itemsOf(specOf()['initContainers']).slice(1) });
  const cases: readonly (readonly [string, Fields, string])[] = [
    ['an application container with the name of the agent', app, 'reserved for the agent'],
    ['an agent without redirect', noInit(), 'sallyport-init is missing'],
    ['a redirect without agent', { initContainers: itemsOf(specOf()['initContainers']).slice(0, 1) }, 'sallyport-agent is missing'],
    ['another image', withFields('sallyport-agent', { image: 'evil/agent:1' }), 'image evil/agent:1'],
    ['an image whose name only starts alike', withFields('sallyport-agent', { image: 'example/agent-evil:1' }), 'image'],
    ['another image of the redirect', withFields('sallyport-init', { image: 'busybox' }), 'container sallyport-init: image'],
    ['a command', withFields('sallyport-agent', { command: ['sleep'] }), 'command'],
    ['a command of the redirect', withFields('sallyport-init', { command: ['true'] }), 'command'],
    ['arguments', withFields('sallyport-agent', { args: ['--x'] }), 'args'],
    ['an agent that is no sidecar', withFields('sallyport-agent', { restartPolicy: undefined }), 'not a sidecar'],
    ['options of Node.js', withEnv('sallyport-agent', { name: 'NODE_OPTIONS', value: '--import=data:x' }), 'NODE_OPTIONS'],
    ['a preloaded library', withEnv('sallyport-init', { name: 'LD_PRELOAD', value: '/x.so' }), 'LD_PRELOAD'],
    ['a setting of the agent twice', withEnv('sallyport-agent', { name: 'SALLYPORT_CAPTURE_PORT', value: '15006' }), 'set twice'],
    ['an unknown setting', withEnv('sallyport-agent', { name: 'SALLYPORT_NEW', value: '1' }), 'SALLYPORT_NEW'],
    ['another workload', replacedEnv({ name: 'SALLYPORT_WORKLOAD', value: 'other' }), 'SALLYPORT_WORKLOAD'],
    ['another state directory', replacedEnv({ name: 'SALLYPORT_STATE_DIR', value: '/tmp' }), 'SALLYPORT_STATE_DIR'],
    ['another port of captured connections', replacedEnv({ name: 'SALLYPORT_CAPTURE_PORT', value: '15007' }), 'SALLYPORT_CAPTURE_PORT'],
    ['separate ports', withEnv('sallyport-agent', { name: 'SALLYPORT_PORTS', value: '8080:9090' }), 'SALLYPORT_PORTS'],
    ['a separate blocked port', withEnv('sallyport-agent', { name: 'SALLYPORT_BLOCKED_PORT', value: '1' }), 'SALLYPORT_BLOCKED_PORT'],
    ['an old redirect to the ports of a new agent', redirect('redirect', '--exclude', '15020', '--blocked', '15099'), 'CAPTURE_PORT'],
    ['a redirect of all ports to another one', redirect('redirect', '--all', '8081', '--exclude', '15020'), 'args'],
    ['a redirect of both ways', redirect('redirect', '--all', '15006', '--exclude', '15020', '--blocked', '15099'), 'args'],
    ['a redirect that captures the admin port', redirect('redirect', '--all', '15006'), 'args'],
    [
      'a setting from a ConfigMap',
      replacedEnv({ name: 'SALLYPORT_BUNDLE_DIR', valueFrom: { configMapKeyRef: {} } }),
      'SALLYPORT_BUNDLE_DIR',
    ],
    ['a floor that is another variable', replacedEnv({ name: 'SALLYPORT_BUNDLE_FLOOR', value: '$(X)' }), 'SALLYPORT_BUNDLE_FLOOR'],
    ['a floor that is no number', replacedEnv({ name: 'SALLYPORT_BUNDLE_FLOOR', value: '1e99' }), 'SALLYPORT_BUNDLE_FLOOR'],
    ['variables from a ConfigMap', withFields('sallyport-agent', { envFrom: [{ configMapRef: { name: 'x' } }] }), 'envFrom'],
    ['a hook', withFields('sallyport-agent', { lifecycle: { postStart: { exec: { command: ['x'] } } } }), 'lifecycle'],
    ['a probe that runs a command', withFields('sallyport-agent', { livenessProbe: { exec: { command: ['x'] } } }), 'probe'],
    ['another user', withFields('sallyport-agent', { securityContext: { runAsUser: 1000 } }), 'user 1000'],
    [
      'capabilities',
      withFields('sallyport-agent', { securityContext: { runAsUser: 57_020, capabilities: { add: ['SYS_PTRACE'] } } }),
      'capabilities',
    ],
    ['a volume over the code of the agent', withMount('sallyport-agent', { name: 'x', mountPath: '/app' }), 'mounted at /app'],
    [
      'a volume that leaves the directory of credentials',
      withMount('sallyport-agent', { name: 'x', mountPath: '/var/run/secrets/azure/../../../../app' }),
      'mounted',
    ],
    [
      'a part of the volume of the state',
      withMount('sallyport-init', { name: 'sallyport-state', mountPath: '/var/lib/sallyport', subPath: 'x' }),
      'mounted',
    ],
    ['a bundle of another name', withVolume({ name: 'sallyport-bundle', configMap: { name: 'mine' } }), 'volume sallyport-bundle'],
    ['a bundle from a Secret', withVolume({ name: 'sallyport-bundle', secret: { secretName: 'mine' } }), 'volume sallyport-bundle'],
    ['labels from a ConfigMap', withVolume({ name: 'sallyport-pod-info', configMap: { name: 'mine' } }), 'volume sallyport-pod-info'],
    [
      'labels from annotations',
      withVolume({
        name: 'sallyport-pod-info',
        downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.annotations' } }] },
      }),
      'sallyport-pod-info',
    ],
    [
      'state that outlives the pod',
      withVolume({ name: 'sallyport-state', persistentVolumeClaim: { claimName: 'x' } }),
      'volume sallyport-state',
    ],
    ['a redirect that is another command', redirect('version'), 'args'],
    ['an init container that waits for another pod', waitingWith({ name: 'POD_UID', value: 'u1' }), 'POD_UID'],
    ['an init container that waits with the settings of one that redirects', redirect('wait', ...ALL), 'XTABLES_LOCKFILE'],
    [
      'an init container that waits for the redirect of earlier versions',
      redirect('wait', '--exclude', '15020', '--blocked', '15099'),
      'args',
    ],
    ['a redirect without the blocked port', redirect('redirect', '--map', '8080:15101', '--exclude', '15020'), 'args'],
    [
      'a redirect that leaves IPv6 out',
      redirect('redirect', '--map', '8080:15101', '--exclude', '15020', '--blocked', '15099', '--ipv6', 'skip'),
      'args',
    ],
    [
      'a redirect to another port',
      withArgs(renderingTwo(specOf(), [8080]), 'redirect', '--map', '8080:9999', '--exclude', '15020', '--blocked', '15099'),
      'SALLYPORT_PORTS',
    ],
  ];
  for (const [name, spec, fault] of cases) {
    it(`names ${name}`, () => {
      const reading = readPodAgent(spec, WEB, rules);

      expect(reading.agent).to.equal(undefined);
      expect(reading.fault).to.contain(fault);
    });
  }

  it('names a sidecar that starts before the redirect', () => {
    const spec = specOf();
    const early = { ...spec, initContainers: [{ name: 'early', restartPolicy: 'Always' }, ...itemsOf(spec['initContainers'])] };

    expect(readPodAgent(early, WEB, rules).fault).to.equal('container sallyport-init: sidecar early starts before it');
  });

  it('reads malformed specs without an agent', () => {
    for (const spec of [{}, { initContainers: 'x' }, { initContainers: [null, 1, []] }, { containers: { name: 'sallyport-agent' } }]) {
      expect(readPodAgent(spec, WEB, rules)).to.deep.equal({});
    }
  });
});

describe('repositoryOf', () => {
  const cases: readonly (readonly [image: string, repository: string])[] = [
    ['a', 'a'],
    ['a:1', 'a'],
    ['r.example:5000/a/b', 'r.example:5000/a/b'],
    ['r.example:5000/a/b:1', 'r.example:5000/a/b'],
    ['r.example/a@sha256:00', 'r.example/a'],
    ['r.example:1/a:2@sha256:00', 'r.example:1/a'],
  ];
  for (const [image, repository] of cases) it(`is ${repository} for ${image}`, () => expect(repositoryOf(image)).to.equal(repository));
});
