/* TLS of injected agents: from the chart's value and annotations to the container, its volume, and the reading of the pod. */
import { expect } from 'chai';
import { readPodAgent } from '../../../src/api/kube/pod-agent.ts';
import { loadAgentConfig } from '../../../src/config/agent.ts';
import { agentTls } from '../../../src/config/agent-schemas.ts';
import { injectPodTemplate, removeAgent } from '../../../src/inject/inject-pod.ts';
import { type Raw, rawListOf, rawOf } from '../../../src/inject/raw-json.ts';
import type { InjectionSettings } from '../../../src/inject/settings.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const BASE: InjectionSettings = { image: 'example/agent:1', version: '1', trust: TRUST, trustDomains: ['td', 'old.td'] };
const CSI = { csi: { driver: 'spiffe.csi.cert-manager.io', readOnly: true } };
const WORKLOAD = { kind: 'pod', name: 'web' };

interface Injected {
  readonly pod: Raw;
  readonly agent: Raw;
  /** `severity: message` of each finding. */
  readonly findings: readonly string[];
}

function inject(annotations: Readonly<Record<string, string>>, tls?: InjectionSettings['tls'], volumes: readonly Raw[] = []): Injected {
  const own = Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`sallyport.dev/${name}`, value]));
  const input = { metadata: { name: 'web', annotations: own }, spec: { containers: [{ name: 'app' }], volumes } };
  const result = injectPodTemplate(input, { workload: WORKLOAD, settings: { ...BASE, ...(tls !== undefined && { tls }) } });
  const agent = rawListOf(rawOf(result.pod['spec'])['initContainers']).find(({ name }) => name === 'sallyport-agent') ?? {};
  return { pod: result.pod, agent, findings: result.findings.map(({ severity, message }) => `${severity}: ${message}`) };
}

const mountsOf = ({ agent }: Injected): readonly Raw[] =>
  rawListOf(agent['volumeMounts']).filter(({ mountPath }) => mountPath === '/etc/sallyport/tls');
const volumesOf = ({ pod }: Injected): readonly Raw[] =>
  rawListOf(rawOf(pod['spec'])['volumes']).filter(({ name }) => name === 'sallyport-tls');

/** The agent's own reading of its environment. */
function configOf({ agent }: Injected): ReturnType<typeof loadAgentConfig>['tls'] {
  const tls = rawListOf(agent['env']).find(({ name }) => name === 'SALLYPORT_TLS')?.['value'];
  return loadAgentConfig([], { SALLYPORT_TLS: typeof tls === 'string' ? tls : '' }).tls;
}

describe('TLS of injected agents', () => {
  it('is off without a setting', () => {
    const injected = inject({});

    expect(configOf(injected)).to.equal(undefined);
    expect([...mountsOf(injected), ...volumesOf(injected)]).to.deep.equal([]);
  });

  it('takes the volume of the installation, and the trust domains of the mesh', () => {
    const injected = inject({}, { mode: 'permissive', volume: CSI, certificate: 'svid.pem' });

    expect(volumesOf(injected)).to.deep.equal([{ name: 'sallyport-tls', ...CSI }]);
    expect(mountsOf(injected)).to.deep.equal([{ name: 'sallyport-tls', mountPath: '/etc/sallyport/tls', readOnly: true }]);
    expect(configOf(injected)).to.deep.equal({
      mode: 'permissive',
      trustDomains: ['td', 'old.td'],
      files: { directory: '/etc/sallyport/tls', certificate: 'svid.pem', key: 'tls.key', trustBundle: 'ca.crt' },
    });
  });

  it('takes a Secret, or a volume of the pod, that annotations name', () => {
    const secret = inject({ tls: 'strict', 'tls-secret': 'web-tls' });
    expect(volumesOf(secret)).to.deep.equal([{ name: 'sallyport-tls', secret: { secretName: 'web-tls' } }]);
    const files = 'svid.pem, svid_key.pem, svid_bundle.pem';
    const shared = inject({ tls: 'permissive', 'tls-volume': 'svids', 'tls-files': files }, undefined, [{ name: 'svids', emptyDir: {} }]);
    expect(volumesOf(shared)).to.deep.equal([]);
    expect(mountsOf(shared)).to.deep.equal([{ name: 'svids', mountPath: '/etc/sallyport/tls', readOnly: true }]);
    expect(configOf(shared)?.files).to.include({ certificate: 'svid.pem', key: 'svid_key.pem', trustBundle: 'svid_bundle.pem' });
    for (const injected of [secret, shared]) {
      expect(injected.findings).to.deep.equal([]);
      expect(readPodAgent(rawOf(injected.pod['spec']), WORKLOAD, { repositories: [] }).fault).to.equal(undefined);
    }
  });

  it('is the same after a second injection, and gone after a removal', () => {
    const { pod } = inject({ tls: 'strict', 'tls-secret': 'web-tls' });

    expect(injectPodTemplate(pod, { workload: WORKLOAD, settings: BASE }).changed).to.equal(false);
    expect(rawListOf(rawOf(removeAgent(pod)['spec'])['volumes'])).to.deep.equal([]);
  });

  it('is not weaker, and has no other certificates, than the installation says', () => {
    const weaker = inject({ tls: 'off', 'tls-secret': 'mine' }, { mode: 'permissive', volume: CSI });
    expect(weaker.findings).to.deep.equal([
      'warning: the volume of the installation is used',
      'warning: off is weaker than permissive, which is used',
    ]);
    expect(configOf(weaker)?.mode).to.equal('permissive');
    expect(volumesOf(weaker)).to.deep.equal([{ name: 'sallyport-tls', ...CSI }]);
    expect(configOf(inject({ tls: 'strict' }, { mode: 'permissive', volume: CSI }))?.mode).to.equal('strict');
  });

  const refused: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ tls: 'on' }, /"on" is not one of off, permissive, strict/],
    [{ tls: 'strict' }, /"strict" is not possible without sallyport\.dev\/tls-secret or sallyport\.dev\/tls-volume/],
    [{ tls: 'strict', 'tls-secret': 'a', 'tls-volume': 'b' }, /"a" is not possible together with/],
    [{ tls: 'strict', 'tls-volume': 'missing' }, /the pod has no volume "missing"/],
    [{ tls: 'strict', 'tls-secret': 'A b' }, /"A b" is not a name/],
    [{ tls: 'strict', 'tls-secret': 'a', 'tls-files': 'tls.crt,tls.key' }, /is not three file names/],
    [{ tls: 'strict', 'tls-secret': 'a', 'tls-files': 'tls.crt,../key,ca.crt' }, /is not three file names/],
  ];
  for (const [annotations, reason] of refused) {
    it(`refuses the pod with ${JSON.stringify(annotations)}`, () => {
      const { agent, findings } = inject(annotations);

      expect(findings.filter((finding) => finding.startsWith('error:')).join('\n')).to.match(reason);
      expect(agent).to.deep.equal({});
    });
  }

  it('counts as tampered with when the directory can be written, or holds a part of a volume', () => {
    const { pod } = inject({ tls: 'strict', 'tls-secret': 'web-tls' });
    for (const change of [{ readOnly: false }, { subPath: 'x' }]) {
      const spec = structuredClone(rawOf(pod['spec'])) as { initContainers: { volumeMounts?: Raw[] }[] };
      for (const container of spec.initContainers)
        container.volumeMounts = (container.volumeMounts ?? []).map((mount) =>
          mount['mountPath'] === '/etc/sallyport/tls' ? { ...mount, name: 'other', ...change } : mount,
        );

      expect(readPodAgent(spec, WORKLOAD, { repositories: [] }).fault).to.match(/is mounted at \/etc\/sallyport\/tls/);
    }
  });
});

describe('the setting agent.tls', () => {
  it('needs a volume of a kind that holds certificates', () => {
    expect(agentTls.safeParse({ mode: 'off' }).success).to.equal(true);
    expect(agentTls.safeParse({ mode: 'strict', volume: CSI }).success).to.equal(true);
    for (const bad of [
      { mode: 'strict' },
      { mode: 'strict', volume: { hostPath: { path: '/' } } },
      { mode: 'x', volume: CSI },
      { volume: CSI },
    ])
      expect(agentTls.safeParse(bad).success, JSON.stringify(bad)).to.equal(false);
  });
});
