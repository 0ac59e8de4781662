/* Pod Security levels that refuse the init container. */
import { expect } from 'chai';
import { injectManifest } from '../../../src/inject/inject-manifest.ts';
import { injectPodTemplate } from '../../../src/inject/inject-pod.ts';
import type { InjectionSettings } from '../../../src/inject/settings.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const SETTINGS: InjectionSettings = { image: 'example/agent:1', version: '1', trust: TRUST };
const LABEL = 'pod-security.kubernetes.io/enforce';

function findingsOf(level: string | undefined, settings = SETTINGS, spec: object = {}): readonly string[] {
  const pod = { metadata: { name: 'web' }, spec: { containers: [{ name: 'app' }], ...spec } };
  const context = { workload: { kind: 'pod', name: 'web' }, settings };
  const labels = level === undefined ? {} : { namespaceLabels: { [LABEL]: level } };
  return injectPodTemplate(pod, { ...context, ...labels }).findings.map(({ code, severity, hint }) => `${severity} ${code} ${hint ?? ''}`);
}

describe('the injection in a namespace with a Pod Security level', () => {
  for (const level of ['baseline', 'restricted']) {
    it(`refuses a pod that ${level} refuses, and names the mode that works there`, () => {
      const [finding, ...rest] = findingsOf(level);

      expect(rest).to.deep.equal([]);
      expect(finding).to.match(/^error SP_POD_SECURITY .*capture\.mode=node/);
      expect(findingsOf(level, { ...SETTINGS, captureMode: 'node' })).to.deep.equal([]);
    });
  }

  it('refuses none elsewhere', () => {
    expect(findingsOf('privileged')).to.deep.equal([]);
    expect(findingsOf(undefined)).to.deep.equal([]);
  });

  it('only warns of a pod with a runtime class, which may be exempt', () => {
    expect(findingsOf('restricted', SETTINGS, { runtimeClassName: 'gvisor' })[0]).to.match(/^warning /);
  });

  it('knows the level of a namespace of the same manifests', () => {
    const namespace = (name: string): string =>
      `apiVersion: v1\nkind: Namespace\nmetadata: { name: ${name}, labels: { ${LABEL}: restricted } }\n`;
    const pod = 'apiVersion: v1\nkind: Pod\nmetadata: { name: web, namespace: foo }\nspec: { containers: [{ name: app }] }\n';
    const severities = (text: string): readonly string[] => injectManifest(text, SETTINGS).findings.map(({ severity }) => severity);

    expect(severities(`${namespace('foo')}---\n${pod}`)).to.deep.equal(['error']);
    expect(severities(`${namespace('bar')}---\n${pod}`)).to.deep.equal([]);
  });
});
