/*
 * A tenant with Kubernetes' own role `edit` in one namespace, on a real API server: what it tries against its agents, its bundles and
 * others, and a client with a stolen token of the controller. SECURITY.md has the same attempts in a table.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { slotName } from '../../src/api/kube/workload.ts';
import { parseTrustAnchor } from '../../src/bundle/trust-anchor.ts';
import { deleteObject } from '../../src/cluster/objects.ts';
import { CONFIG_MAPS } from '../../src/cluster/paths.ts';
import { mintKeys, signerOf } from '../../src/keys/signing-keys.ts';
import { AGENT_IMAGE, levelOne, TRUST } from '../support/guarded-pods.ts';
import { trustOf } from '../support/policy-cluster.ts';
import { barePod, guardedPod, must, SHOP, SYSTEM, setUpTenant, type TenantStage, type Who } from '../support/tenant-stage.ts';

const IN = ['-n', SHOP] as const;
const DENY_ADMIN = { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }] };
const AP = 'AuthorizationPolicy';

/** The command fails because of an admission policy, with this text. */
function refuses(
  at: TenantStage,
  who: Who,
  args: readonly string[],
  { text, object }: { readonly text: string; readonly object?: object },
): void {
  const outcome = at.kubectl(who, args, object);

  expect(outcome.isDone, outcome.text).to.equal(false);
  expect(outcome.text).to.contain('ValidatingAdmissionPolicy').and.to.contain(text);
}

/** Creates a guarded pod as the tenant and waits for its bundle. */
async function running(at: TenantStage, name: string): Promise<void> {
  if ((await at.cluster.readPod(SHOP, name)) === undefined) must(at.kubectl('tenant', ['create', '-f', '-'], guardedPod(name)));
  await at.see(async () => (await at.cluster.bundle(SHOP, name)) !== undefined, `the bundle of ${name}`);
}

function patch(pod: string, body: object, type = 'strategic'): readonly string[] {
  return ['patch', 'pod', pod, ...IN, `--type=${type}`, '-p', JSON.stringify(body)];
}

type AnyPod = { spec: { initContainers: Record<string, unknown>[]; containers: Record<string, unknown>[] } };

/** A guarded pod of which one container is changed. */
function tampered(
  name: string,
  change: (containers: { readonly redirect: Record<string, unknown>; readonly agent: Record<string, unknown> }) => void,
): object {
  const pod = structuredClone(guardedPod(name)) as AnyPod;
  const [redirect = {}, agent = {}] = pod.spec.initContainers;
  change({ redirect, agent });
  return pod;
}

/** A guarded pod with another volume mounted into its agent. */
function withMount(name: string, mount: object, volume: object = { name: 'code', configMap: { name: 'mine' } }): object {
  const pod = structuredClone(guardedPod(name)) as AnyPod & { spec: { volumes: object[] } };
  pod.spec.volumes.push(volume);
  const agent = pod.spec.initContainers[1] ?? {};
  (agent['volumeMounts'] as object[]).push({ name: 'code', ...mount });
  return pod;
}

const TLS_MOUNT = { mountPath: '/etc/sallyport/tls', readOnly: true };

/** A guarded pod whose agent trusts something else. */
function withTrust(name: string, { anchor, floor }: { readonly anchor: string; readonly floor: number }): object {
  return tampered(name, ({ agent }) => {
    const values: Readonly<Record<string, string>> = { SALLYPORT_TRUST_ANCHOR: anchor, SALLYPORT_BUNDLE_FLOOR: String(floor) };
    agent['env'] = (agent['env'] as { name: string }[]).map((one) =>
      values[one.name] === undefined ? one : { ...one, value: values[one.name] },
    );
  });
}

/** A guarded pod of which one volume is replaced. */
function withVolume(volume: { readonly name: string; readonly configMap?: object; readonly projected?: object }): object {
  const pod = structuredClone(guardedPod('a')) as { spec: { volumes: { readonly name: string }[] } };
  pod.spec.volumes = pod.spec.volumes.map((one) => (one.name === volume.name ? volume : one));
  return pod;
}

function testAgents(at: TenantStage): void {
  before(async () => {
    await at.cluster.policy(AP, 'deny-admin', 'istio-system', DENY_ADMIN);
    await running(at, 'web');
  });

  const changes: readonly (readonly [string, readonly string[], string])[] = [
    ['remove the annotation of the agent', ['annotate', 'pod', 'web', ...IN, 'sallyport.dev/agent-'], 'annotations with the prefix'],
    [
      'change the annotation of the agent',
      ['annotate', 'pod', 'web', ...IN, '--overwrite', 'sallyport.dev/agent={}'],
      'annotations with the prefix',
    ],
    ['set the digest', ['annotate', 'pod', 'web', ...IN, '--overwrite', 'sallyport.dev/bundle-digest=x'], 'annotations with the prefix'],
    ['opt out by a label', ['label', 'pod', 'web', ...IN, 'sallyport.dev/injection=disabled'], 'labels with the prefix'],
    [
      'change the image of the agent',
      patch('web', { spec: { initContainers: [{ name: 'sallyport-agent', image: 'x' }] } }),
      'image of the agent',
    ],
    [
      'change the image of the redirect',
      patch('web', { spec: { initContainers: [{ name: 'sallyport-init', image: 'x' }] } }),
      'image of the agent',
    ],
    ['open a shell in the agent', ['exec', 'web', ...IN, '-c', 'sallyport-agent', '--', 'sh'], 'exec and attach'],
    ['attach to the agent', ['attach', 'web', ...IN, '-c', 'sallyport-agent'], 'exec and attach'],
  ];
  for (const [name, args, text] of changes) it(`cannot ${name}`, () => refuses(at, 'tenant', args, { text }));

  it('cannot copy files out of the agent', () => {
    refuses(at, 'tenant', ['cp', `${SHOP}/web:/etc/hostname`, '/dev/null', '-c', 'sallyport-agent'], { text: 'exec and attach' });
  });

  it('may change what is not ours: labels, annotations and images of the application', () => {
    must(at.kubectl('tenant', ['annotate', 'pod', 'web', ...IN, 'team=a']));
    must(at.kubectl('tenant', ['label', 'pod', 'web', ...IN, 'team=a']));
    must(at.kubectl('tenant', patch('web', { spec: { containers: [{ name: 'app', image: 'app:2' }] } })));
    // No node runs here, so that a connection fails later.
    expect(at.kubectl('tenant', ['exec', 'web', ...IN, '-c', 'app', '--', 'sh']).text).to.contain('does not have a host assigned');
    expect(at.kubectl('tenant', ['port-forward', 'web', ...IN, '26900:8080']).text).to.contain('pod is not running');
  });

  it('cannot add ephemeral containers that reach into the agent, even with the right to add some', () => {
    const role = ['create', 'role', 'debug', ...IN, '--verb=get,update,patch', '--resource=pods/ephemeralcontainers,pods/resize'];
    must(at.kubectl('admin', role));
    must(at.kubectl('admin', ['create', 'rolebinding', 'debug', ...IN, '--role=debug', '--user=alice']));
    const debug = (fields: object): readonly string[] => [
      ...patch('web', { spec: { ephemeralContainers: [{ name: 'debug', image: 'x', ...fields }] } }),
      '--subresource=ephemeralcontainers',
    ];
    const text = 'an ephemeral container';

    refuses(at, 'tenant', debug({ targetContainerName: 'sallyport-agent' }), { text });
    refuses(at, 'tenant', debug({ securityContext: { capabilities: { add: ['net_admin'] } } }), { text });
    refuses(at, 'tenant', debug({ securityContext: { privileged: true } }), { text });
    refuses(at, 'tenant', debug({ securityContext: { runAsUser: 57_020 } }), { text });
    refuses(at, 'tenant', debug({ volumeMounts: [{ name: 'sallyport-state', mountPath: '/x' }] }), { text });
    must(at.kubectl('tenant', debug({ targetContainerName: 'app' })));
  });

  it('cannot starve the agent by resizing it', () => {
    const container = { name: 'sallyport-agent', resources: { requests: { cpu: '1m' } } };
    const resize = [...patch('web', { spec: { initContainers: [container] } }), '--subresource=resize'];

    refuses(at, 'tenant', resize, { text: 'resources of the agent' });
  });

  it('cannot forge the annotation on a pod without an agent', () => {
    must(at.kubectl('tenant', ['create', '-f', '-'], barePod('bare')));

    refuses(at, 'tenant', ['annotate', 'pod', 'bare', ...IN, 'sallyport.dev/agent={}'], { text: 'annotations with the prefix' });
    refuses(at, 'tenant', ['create', '-f', '-'], {
      text: 'reserved for the injection',
      object: barePod('liar', {}, { 'sallyport.dev/agent': '{}' }),
    });
  });

  const app = { name: 'app', image: 'app:1' };
  const pods: readonly (readonly [string, object, string])[] = [
    [
      'whose application has the name of the agent',
      barePod('a', { containers: [{ ...app, name: 'sallyport-agent' }] }),
      'reserved for the injection',
    ],
    [
      'with the agent but not the redirect',
      { ...guardedPod('a'), spec: { containers: [app], initContainers: [{ ...app, name: 'sallyport-agent', restartPolicy: 'Always' }] } },
      'reserved for the injection',
    ],
    ['with another image of the agent', tampered('a', ({ agent }) => void (agent['image'] = 'evil/agent:1')), 'image of the agent'],
    [
      'with another image of the redirect',
      tampered('a', ({ redirect }) => void (redirect['image'] = 'example/agentx')),
      'image of the agent',
    ],
    ['with a command of the agent', tampered('a', ({ agent }) => void (agent['command'] = ['sleep'])), 'command'],
    ['with a command of the redirect', tampered('a', ({ redirect }) => void (redirect['command'] = ['true'])), 'command'],
    [
      'with a redirect of more ports than the program of the node sets',
      tampered('a', ({ redirect }) => void (redirect['args'] = ['wait', '--all', '15006', ...Array(3_000).fill('--exclude=1')])),
      'args',
    ],
    [
      'with options of Node.js',
      tampered('a', ({ agent }) => void (agent['env'] = [{ name: 'NODE_OPTIONS', value: '--inspect=0.0.0.0' }])),
      'environment',
    ],
    [
      'with variables from a ConfigMap',
      tampered('a', ({ agent }) => void (agent['envFrom'] = [{ configMapRef: { name: 'x' } }])),
      'envFrom',
    ],
    [
      'with a hook in the agent',
      tampered('a', ({ agent }) => void (agent['lifecycle'] = { postStart: { exec: { command: ['x'] } } })),
      'lifecycle',
    ],
    [
      'with an agent that runs as root',
      tampered('a', ({ agent }) => void (agent['securityContext'] = { runAsUser: 0 })),
      'security context',
    ],
    [
      'whose bundle comes from another ConfigMap',
      withVolume({ name: 'sallyport-bundle', configMap: { name: 'mine' } }),
      'volumes of the agent',
    ],
    [
      'whose bundle comes from several ConfigMaps, one of which is another',
      withVolume({
        name: 'sallyport-bundle',
        projected: { sources: [{ configMap: { name: 'sallyport-bundle-pod.a.0' } }, { configMap: { name: 'mine' } }] },
      }),
      'volumes of the agent',
    ],
    ['whose labels come from a ConfigMap', withVolume({ name: 'sallyport-pod-info', configMap: { name: 'mine' } }), 'volumes of the agent'],
    ['with a volume over the code of the agent', withMount('a', { mountPath: '/app' }), 'nothing may be mounted'],
    ['with certificates that the agent may change', withMount('a', { ...TLS_MOUNT, readOnly: false }), 'nothing may be mounted'],
    ['with a part of a volume as certificates', withMount('a', { ...TLS_MOUNT, subPath: 'x' }), 'nothing may be mounted'],
    [
      'whose certificates come from a directory of the node',
      withMount('a', { ...TLS_MOUNT, name: 'sallyport-tls' }, { name: 'sallyport-tls', hostPath: { path: '/' } }),
      'volumes of the agent',
    ],
    ['that shares its processes', guardedPod('a', { shareProcessNamespace: true }), 'may not share processes'],
    [
      'with NET_ADMIN',
      guardedPod('a', { containers: [{ ...app, securityContext: { capabilities: { add: ['NET_ADMIN'] } } }] }),
      'NET_ADMIN',
    ],
    [
      'with SYS_PTRACE in an init container',
      guardedPod('a', { initContainers: [{ ...app, name: 'i', securityContext: { capabilities: { add: ['SYS_PTRACE'] } } }] }),
      'SYS_PTRACE',
    ],
    ['with a privileged container', guardedPod('a', { containers: [{ ...app, securityContext: { privileged: true } }] }), 'privileged'],
    ["that runs as the agent's user", guardedPod('a', { securityContext: { runAsUser: 57_020 } }), 'run as user 57020'],
  ];
  for (const [name, object, text] of pods) {
    it(`cannot create a pod ${name}`, () => refuses(at, 'tenant', ['create', '-f', '-'], { text, object }));
  }

  it('cannot mount the volumes of the agent into the application', () => {
    const object = structuredClone(guardedPod('a')) as AnyPod;
    for (const name of ['sallyport-state', 'sallyport-bundle']) {
      object.spec.containers = [{ ...app, volumeMounts: [{ name, mountPath: '/x' }] }];

      refuses(at, 'tenant', ['create', '-f', '-'], { text: 'only the agent may mount', object });
    }
  });

  it('can give its agents certificates, from a volume of the pod or a Secret', () => {
    must(at.kubectl('tenant', ['create', '-f', '-'], withMount('tls-own', TLS_MOUNT)));
    const secret = { name: 'sallyport-tls', secret: { secretName: 'web-tls' } };
    must(at.kubectl('tenant', ['create', '-f', '-'], withMount('tls-secret', { ...TLS_MOUNT, name: 'sallyport-tls' }, secret)));
    must(at.kubectl('tenant', ['delete', 'pod', 'tls-own', 'tls-secret', ...IN, '--now']));
  });

  it('can still delete its pods', () => {
    must(at.kubectl('tenant', ['create', '-f', '-'], guardedPod('short')));
    must(at.kubectl('tenant', ['delete', 'pod', 'short', ...IN, '--now']));
  });
}

function testStatus(at: TenantStage): void {
  const enforced = async (): Promise<string> => (await at.cluster.condition(AP, 'deny-admin', 'istio-system', 'Enforced'))?.message ?? '';

  before(() => must(at.kubectl('admin', ['delete', 'pod', '--all', ...IN, '--now'])));

  afterEach(async () => {
    must(at.kubectl('admin', ['delete', 'pod', '--all', ...IN, '--now']));
    await at.see(async () => /Selects no workload|^$/.test(await enforced()), 'the pods to go');
  });

  it('keeps the bundle, and the pod guarded, when an administrator removes the annotation', async () => {
    await running(at, 'web');
    const before = (await at.cluster.configMap(SHOP, slotName({ kind: 'pod', name: 'web' }, 0)))?.metadata?.uid;
    must(at.kubectl('admin', ['annotate', 'pod', 'web', ...IN, 'sallyport.dev/agent-']));
    await at.cluster.policy(AP, 'deny-debug', 'istio-system', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/debug'] } }] }] });

    await at.see(async () => (await at.cluster.bundle(SHOP, 'web'))?.programs[0]?.http.deny.rules.length === 2, 'the next policy');
    expect((await at.cluster.configMap(SHOP, slotName({ kind: 'pod', name: 'web' }, 0)))?.metadata?.uid).to.equal(before);
    await at.cluster.deletePolicy(AP, 'deny-debug', 'istio-system');
  });

  const liars: readonly (readonly [string, object, string])[] = [
    ['a forged annotation', barePod('web', {}, { 'sallyport.dev/agent': '{"ports":[8080]}' }), 'Enforced on 0 of 1'],
    [
      'a container with the name of the agent',
      barePod('web', { containers: [{ name: 'sallyport-agent', image: AGENT_IMAGE }] }),
      'Agent altered: 1 (shop/pod/web',
    ],
    ['another image', tampered('web', ({ agent }) => void (agent['image'] = 'evil/agent:1')), 'image evil/agent:1 is not the agent'],
    [
      'an excluded port',
      guardedPod('web', {}, { 'sallyport.dev/exclude-inbound-ports': '8080' }),
      'Agent can be bypassed: 1 (shop/pod/web: excluded ports 8080)',
    ],
    ['a shared process namespace', guardedPod('web', { shareProcessNamespace: true }), 'shop/pod/web: the pod sets shareProcessNamespace'],
  ];
  it('reports an agent that trusts a root key of the tenant, although everything else is as injected', async () => {
    const cluster = parseTrustAnchor((await trustOf(at.cluster.client)).anchor).cluster;
    const { anchor } = signerOf(mintKeys(cluster, Date.now()));
    must(at.kubectl('tenant', ['create', '-f', '-'], withTrust('web', { anchor, floor: 0 })));

    await at.see(async () => (await enforced()).includes('root key that is not of this installation'), 'the anchor in the status');
    expect(await enforced()).to.contain('Agent altered: 1 (shop/pod/web');
    expect(await at.cluster.bundle(SHOP, 'web')).to.equal(undefined);
  });

  it('reports an agent that would refuse every bundle', async () => {
    must(at.kubectl('tenant', ['create', '-f', '-'], withTrust('web', { ...TRUST, floor: Date.now() + 24 * 3_600_000 })));

    await at.see(async () => (await enforced()).includes('SALLYPORT_BUNDLE_FLOOR is above'), 'the floor in the status');
  });

  it('reports an agent that takes unsigned bundles', async () => {
    must(at.kubectl('admin', ['create', '-f', '-'], levelOne(guardedPod('web'))));

    await at.see(async () => (await enforced()).includes('shop/pod/web: the agent takes unsigned bundles'), 'the level in the status');
  });

  for (const [name, pod, message] of liars) {
    it(`reports ${name}`, async () => {
      must(at.kubectl('admin', ['create', '-f', '-'], pod));

      await at.see(async () => (await enforced()).includes(message), `"${message}"`);
      expect(await at.cluster.condition(AP, 'deny-admin', 'istio-system', 'Enforced')).to.include({ status: 'False' });
    });
  }
}

function testBundles(at: TenantStage): void {
  const web = slotName({ kind: 'pod', name: 'web' }, 0);
  const bundle = ['configmap', web, ...IN] as const;
  const merge = (body: object): readonly string[] => ['patch', ...bundle, '--type=merge', '-p', JSON.stringify(body)];

  before(() => running(at, 'web'));

  const attempts: readonly (readonly [string, readonly string[]])[] = [
    ['change its data', merge({ data: { 'bundle.json': '{}' } })],
    ['add a key that agents would read', merge({ binaryData: { 'bundle.json.gz': 'AAAA' } })],
    ['make it immutable', merge({ immutable: true })],
    ['hold it by a finalizer', merge({ metadata: { finalizers: ['tenant.example/hold'] } })],
    ['change its owner', merge({ metadata: { ownerReferences: [] } })],
    ['change its labels', ['label', ...bundle, 'a=b']],
    ['take its label away', ['label', ...bundle, 'sallyport.dev/bundle-']],
    ['annotate it', ['annotate', ...bundle, 'a=b']],
    ['delete it', ['delete', ...bundle]],
    ['delete all ConfigMaps', ['delete', 'configmap', '--all', ...IN]],
    ['create one before the controller does', ['create', 'configmap', slotName({ kind: 'pod', name: 'later' }, 0), ...IN]],
    ['label a ConfigMap as a bundle', ['create', '-f', '-']],
    ['create one with a generated name', ['create', '-f', '-']],
  ];
  const objects: Readonly<Record<string, object>> = {
    'label a ConfigMap as a bundle': { metadata: { namespace: SHOP, name: 'mine', labels: { 'sallyport.dev/bundle': 'x' } } },
    'create one with a generated name': { metadata: { namespace: SHOP, generateName: 'sallyport-bundle-' } },
  };
  for (const [name, args] of attempts) {
    it(`cannot ${name}`, () => {
      const object = objects[name];
      refuses(at, 'tenant', args, {
        text: 'reserved for the bundles',
        ...(object === undefined ? {} : { object: { apiVersion: 'v1', kind: 'ConfigMap', ...object } }),
      });
    });
  }

  it('is restricted as a cluster administrator is, unless in a group of the value breakGlassGroups', () => {
    refuses(at, 'operator', merge({ data: { 'bundle.json': '{}' } }), { text: 'reserved for the bundles' });
    must(at.kubectl('admin', ['annotate', ...bundle, 'rescued=yes']));
  });

  it('reads nothing of other namespaces, and writes no policy there', () => {
    for (const args of [
      ['get', 'configmaps', '-n', SYSTEM],
      ['get', 'secrets', '-n', SYSTEM],
      ['get', 'pods', '-A'],
      ['create', 'configmap', 'x', '-n', 'istio-system'],
      ['delete', 'validatingadmissionpolicybinding', 'sallyport-bundles'],
    ]) {
      expect(at.kubectl('tenant', args).text, args.join(' ')).to.contain('orbidden');
    }
    const policy = { apiVersion: 'security.istio.io/v1', kind: AP, metadata: { namespace: 'istio-system', name: 'mine' }, spec: {} };
    expect(at.kubectl('tenant', ['create', '-f', '-'], policy).text).to.contain('Forbidden');
  });

  it('keeps its ConfigMap of an earlier name, whatever its pods are called', async () => {
    must(at.kubectl('tenant', ['create', 'configmap', 'sallyport-shop', ...IN, '--from-literal=app=precious']));
    await running(at, 'shop');
    must(at.kubectl('tenant', ['delete', 'pod', 'shop', ...IN, '--now']));
    await at.see(
      async () => (await at.cluster.configMap(SHOP, slotName({ kind: 'pod', name: 'shop' }, 0))) === undefined,
      'the bundle to go',
    );

    const kept = await at.cluster.configMap(SHOP, 'sallyport-shop');
    expect(kept?.['data']).to.deep.equal({ app: 'precious' });
    expect(kept?.metadata?.['ownerReferences']).to.equal(undefined);
  });

  it('gets its bundle in another slot when a ConfigMap of others has its name, which is not changed or deleted', async () => {
    const [taken, next] = [0, 1].map((slot) => slotName({ kind: 'pod', name: 'taken' }, slot)) as [string, string];
    must(at.kubectl('admin', ['create', 'configmap', taken, ...IN, '--from-literal=app=precious']));
    must(at.kubectl('tenant', ['create', '-f', '-'], guardedPod('taken')));
    await at.see(async () => (await at.cluster.configMap(SHOP, next)) !== undefined, 'the bundle');
    must(at.kubectl('tenant', ['delete', 'pod', 'taken', ...IN, '--now']));
    await at.see(async () => (await at.cluster.configMap(SHOP, next)) === undefined, 'the bundle to go');

    expect((await at.cluster.configMap(SHOP, taken))?.['data']).to.deep.equal({ app: 'precious' });
    must(at.kubectl('admin', ['delete', 'configmap', taken, ...IN]));
  });

  it('causes no war of writes by an owner that does not exist', async () => {
    const pod = guardedPod('set-0') as { metadata: Record<string, unknown> };
    // The garbage collector may delete the pod before its bundle is published; the finalizer keeps it until then.
    pod.metadata['finalizers'] = ['test.example.com/keep'];
    pod.metadata['ownerReferences'] = [
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'set', uid: '00000000-0000-4000-8000-000000000000', controller: true },
    ];
    must(
      at.kubectl(
        'tenant',
        ['create', '-f', '-'],
        JSON.parse(
          JSON.stringify(pod)
            .replaceAll('"value":"set-0"', '"value":"set"')
            .replaceAll('"value":"pod"', '"value":"statefulset"')
            .replaceAll('sallyport-bundle-pod.set-0.', 'sallyport-bundle-statefulset.set.'),
        ) as object,
      ),
    );
    await at.see(async () => (await at.cluster.bundle(SHOP, 'set', 'statefulset')) !== undefined, 'the bundle');
    const first = await at.cluster.configMap(SHOP, slotName({ kind: 'statefulset', name: 'set' }, 0));
    // The garbage collector deletes the pod, whose owner does not exist; a bundle with that owner would go as well, and come again.
    await at.see(
      async () => (await at.cluster.readPod(SHOP, 'set-0'))?.metadata?.['deletionTimestamp'] !== undefined,
      'the garbage collector',
    );
    await delay(500);

    const now = await at.cluster.configMap(SHOP, slotName({ kind: 'statefulset', name: 'set' }, 0));
    expect(now?.metadata?.uid).to.equal(first?.metadata?.uid);
    expect(first?.metadata?.['ownerReferences']).to.equal(undefined);
    must(at.kubectl('admin', ['patch', 'pod', 'set-0', ...IN, '--type=merge', '-p', '{"metadata":{"finalizers":null}}']));
    await at.see(async () => (await at.cluster.readPod(SHOP, 'set-0')) === undefined, 'the pod to go');
  });
}

function testDeletion(at: TenantStage): void {
  it('lets the controllers of Kubernetes delete them', async () => {
    await running(at, 'web');
    await at.cluster.namespace('gone');
    for (const [namespace, owner] of [
      ['gone', undefined],
      [SHOP, 'owner'],
    ] as const) {
      const uid =
        owner === undefined
          ? undefined
          : (await at.cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: owner } })).metadata?.uid;
      const metadata = {
        namespace,
        name: 'sallyport-bundle-kept',
        ...(uid === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid }] }),
      };
      must(at.kubectl('token', ['create', '-f', '-'], { apiVersion: 'v1', kind: 'ConfigMap', metadata }));
    }

    await deleteObject(at.cluster.client, { resource: CONFIG_MAPS, namespace: SHOP, name: 'owner' });
    must(at.kubectl('operator', ['delete', 'namespace', 'gone', '--wait=false']));

    await at.see(async () => (await at.cluster.configMap(SHOP, 'sallyport-bundle-kept')) === undefined, 'the garbage collector');
    await at.see(() => Promise.resolve(!at.kubectl('admin', ['get', 'namespace', 'gone']).isDone), 'the namespace to go');
    must(at.kubectl('operator', ['delete', 'namespace', SHOP, '--wait=false']));
    await at.see(() => Promise.resolve(!at.kubectl('admin', ['get', 'namespace', SHOP]).isDone), 'the namespace with a guarded pod to go');
  });
}

function testToken(at: TenantStage): void {
  const pod = ['pod', 'web', ...IN] as const;

  before(() => running(at, 'web'));

  const onlyBundles = 'writes only ConfigMaps whose names start with';
  const onlyAnnotation = 'changes only the annotation';
  const attempts: readonly (readonly [string, readonly string[], string])[] = [
    ['create another ConfigMap', ['create', 'configmap', 'mine', ...IN], onlyBundles],
    ['create one in kube-system', ['create', 'configmap', 'mine', '-n', 'kube-system'], onlyBundles],
    [
      'change the authority in kube-system',
      ['patch', 'configmap', 'kube-root-ca.crt', '-n', 'kube-system', '--type=merge', '-p', '{"data":{"ca.crt":"x"}}'],
      onlyBundles,
    ],
    [
      'change the configuration of the controller',
      ['patch', 'configmap', 'sallyport', '-n', SYSTEM, '--type=merge', '-p', '{"data":{"config.yaml":""}}'],
      onlyBundles,
    ],
    ['delete another ConfigMap', ['delete', 'configmap', 'kube-root-ca.crt', ...IN], onlyBundles],
    ['annotate a pod otherwise', ['annotate', ...pod, 'a=b'], onlyAnnotation],
    ['remove the annotation of the agent', ['annotate', ...pod, 'sallyport.dev/agent-'], onlyAnnotation],
    ['label a pod', ['label', ...pod, 'a=b'], onlyAnnotation],
    ['change the image of an application', patch('web', { spec: { containers: [{ name: 'app', image: 'x' }] } }), onlyAnnotation],
    ['hold a pod by a finalizer', patch('web', { metadata: { finalizers: ['a.example/b'] } }, 'merge'), onlyAnnotation],
    [
      'give a pod an owner',
      patch('web', { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'y' }] } }, 'merge'),
      onlyAnnotation,
    ],
    ['shorten the life of a pod', patch('web', { spec: { activeDeadlineSeconds: 1 } }, 'merge'), onlyAnnotation],
  ];
  for (const [name, args, text] of attempts) it(`cannot ${name}`, () => refuses(at, 'token', args, { text }));

  it('sets the one annotation, and writes bundles', () => {
    must(at.kubectl('token', ['annotate', ...pod, '--overwrite', 'sallyport.dev/bundle-digest=x']));
    must(at.kubectl('token', ['create', 'configmap', 'sallyport-bundle-x', ...IN]));
    must(at.kubectl('token', ['delete', 'configmap', 'sallyport-bundle-x', ...IN]));
  });

  it('writes no events in the name of others', () => {
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace: SHOP, name: 'e' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      action: 'Act',
      reason: 'Because',
      type: 'Normal',
      reportingController: 'kubelet',
      reportingInstance: 'node',
      regarding: { kind: 'Pod', namespace: SHOP, name: 'web' },
    };

    refuses(at, 'token', ['create', '-f', '-'], { text: 'only its own events', object: event });
    must(at.kubectl('token', ['create', '-f', '-'], { ...event, reportingController: 'sallyport.dev/controller' }));
  });

  it('has no other rights', () => {
    for (const args of [
      ['get', 'secrets', '-A'],
      ['create', '-f', '-'],
      ['delete', ...pod],
      ['exec', 'web', ...IN, '-c', 'app', '--', 'sh'],
      ['get', 'nodes'],
      ['delete', 'configmap', '--all', ...IN],
      ['get', 'validatingadmissionpolicies'],
      ['create', 'token', 'default', ...IN],
    ]) {
      const outcome = at.kubectl('token', args, args[0] === 'create' && args[1] === '-f' ? barePod('x') : undefined);
      expect(outcome.isDone, args.join(' ')).to.equal(false);
      expect(outcome.text, args.join(' ')).to.contain('orbidden');
    }
  });
}

function testReport(at: TenantStage): void {
  it('creates them, and the status names them', async () => {
    const container = {
      name: 'app',
      image: 'app:1',
      ports: [{ containerPort: 8080 }],
      securityContext: { capabilities: { add: ['NET_ADMIN'] } },
    };
    const create = (): boolean => at.kubectl('tenant', ['create', '-f', '-'], guardedPod('web', { containers: [container] })).isDone;
    expect(create()).to.equal(false);
    at.upgrade('agent.privilegedContainers=report');
    await at.see(() => Promise.resolve(create()), 'the pod to be admitted');

    const message = async (): Promise<string> => (await at.cluster.condition(AP, 'deny-admin', 'istio-system', 'Enforced'))?.message ?? '';
    await at.see(async () => (await message()).includes('container app has NET_ADMIN'), 'the condition');
  });
}

describe('a tenant on a real API server', function () {
  this.timeout(120_000);
  const at = setUpTenant();

  describe('and the agents of its pods', () => testAgents(at));
  describe('and the bundles of its namespace', () => testBundles(at));
  describe('with a stolen token of the controller', () => testToken(at));
  describe('whose pods admission did not stop', () => testStatus(at));
  describe('whose privileged containers are only reported', () => testReport(at));
  describe('whose namespace is deleted', () => testDeletion(at));
});
