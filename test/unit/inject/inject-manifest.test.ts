/* Injection into manifests, compared with golden files (UPDATE_GOLDEN=1 writes them). */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { RefusedError } from '../../../src/errors.ts';
import { injectManifest } from '../../../src/inject/inject-manifest.ts';
import type { InjectionSettings } from '../../../src/inject/settings.ts';
import { TRUST } from '../../support/guarded-pods.ts';

const golden = join(import.meta.dirname, 'golden');
const settings: InjectionSettings = { image: 'example/agent:1', version: '1.2.3', trust: TRUST };
const names = readdirSync(golden)
  .filter((file) => file.endsWith('.in.yaml'))
  .map((file) => file.slice(0, -'.in.yaml'.length));

describe('injectManifest', () => {
  for (const name of names) {
    it(`injects ${name}.in.yaml into ${name}.out.yaml`, () => {
      const { text } = injectManifest(readFileSync(join(golden, `${name}.in.yaml`), 'utf8'), settings);

      const path = join(golden, `${name}.out.yaml`);
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text);
      expect(existsSync(path), `${path} is missing: run with UPDATE_GOLDEN=1`).to.equal(true);
      expect(text).to.equal(readFileSync(path, 'utf8'));
    });

    it(`changes nothing in ${name}.out.yaml`, () => {
      const text = readFileSync(join(golden, `${name}.out.yaml`), 'utf8');

      const again = injectManifest(text, settings);

      expect(again.injected).to.deep.equal([]);
      expect(again.text).to.equal(text);
    });
  }

  for (const name of names) {
    it(`injects the objects of ${name}.in.yaml in the same way as JSON`, () => {
      const documents = parseAllDocuments(readFileSync(join(golden, `${name}.in.yaml`), 'utf8'), { merge: true });

      const fromYaml = parseAllDocuments(readFileSync(join(golden, `${name}.out.yaml`), 'utf8')).map((document): unknown =>
        document.toJS(),
      );
      const fromJson = documents.map((document): unknown => JSON.parse(injectManifest(JSON.stringify(document.toJS()), settings).text));

      expect(fromYaml).to.deep.equal(fromJson);
    });
  }

  it('keeps every comment of the input', () => {
    const text = readFileSync(join(golden, 'deployment.in.yaml'), 'utf8');

    const result = injectManifest(text, settings).text;

    const comments = [...text.matchAll(/# .*/g)].map(([comment]) => comment);
    expect(comments).to.have.length(5);
    for (const comment of comments) expect(result).to.contain(comment);
  });

  it('keeps documents and their order', () => {
    const text = readFileSync(join(golden, 'kinds.in.yaml'), 'utf8');

    const result = injectManifest(text, settings);

    expect(parseAllDocuments(result.text).map((document) => document.get('kind'))).to.deep.equal(['List', 'DaemonSet', 'Service']);
    expect(result.injected).to.deep.equal(['CronJob/nightly', 'Pod/plain', 'DaemonSet/from-json']);
  });

  it('updates an injected manifest to new settings', () => {
    const text = readFileSync(join(golden, 'deployment.in.yaml'), 'utf8');
    const older = injectManifest(text, settings).text;

    const newer = injectManifest(older, { ...settings, image: 'example/agent:2' });

    expect(newer.injected).to.deep.equal(['Deployment/httpbin']);
    expect(newer.text).to.equal(older.replaceAll(/example\/(agent|redirect):1/g, 'example/$1:2'));
  });

  it('rejects text that is not YAML', () => {
    expect(() => injectManifest('kind: [Pod', settings)).to.throw(RefusedError, 'not YAML');
  });

  it('rejects an object that contains itself', () => {
    const text = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: &s {containers: [*s]}\n';

    expect(() => injectManifest(text, settings)).to.throw(RefusedError, 'a YAML alias is part of the value that it refers to');
  });

  it('leaves an object with an error unchanged and reports object and path', () => {
    const text = [
      'apiVersion: apps/v1',
      'kind: Deployment',
      'metadata: { name: broken }',
      'spec:',
      '  template:',
      '    metadata: { annotations: { sallyport.dev/exclude-inbound-ports: "80,http" } }',
      '    spec: { containers: [{ name: app }] }',
      '',
    ].join('\n');

    const result = injectManifest(text, settings);

    expect(result.text).to.equal(text);
    expect(result.findings).to.deep.equal([
      {
        code: 'SP_ANNOTATION',
        severity: 'error',
        object: 'Deployment/broken',
        path: 'spec.template.metadata.annotations[sallyport.dev/exclude-inbound-ports]',
        message: '"80,http" is not a comma-separated list of ports',
      },
    ]);
  });

  for (const empty of ['', '\n', '# nothing\n', '---\n---\n']) {
    it(`returns ${JSON.stringify(empty)} unchanged`, () => {
      expect(injectManifest(empty, settings)).to.deep.equal({ text: empty, injected: [], findings: [] });
    });
  }
});

describe('pod templates of other kinds', () => {
  const object = (apiVersion: string, kind: string): string =>
    JSON.stringify({
      apiVersion,
      kind,
      metadata: { name: 'web', namespace: 'shop' },
      spec: {
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'web', image: 'example/web:1', ports: [{ containerPort: 8080 }] }] },
        },
      },
    });

  for (const [apiVersion, kind] of [
    ['argoproj.io/v1alpha1', 'Rollout'],
    ['apps.openshift.io/v1', 'DeploymentConfig'],
    ['apps.kruise.io/v1alpha1', 'CloneSet'],
    ['apps.kruise.io/v1beta1', 'StatefulSet'],
    ['example.com/v1', 'Anything'],
  ] as const) {
    it(`get an agent in ${kind} of ${apiVersion}`, () => {
      const { injected, text } = injectManifest(object(apiVersion, kind), settings);

      expect(injected).to.deep.equal([`${kind}/web`]);
      expect(text).to.include('sallyport-agent');
    });
  }

  it('are reported where they are left alone', () => {
    const { injected, findings } = injectManifest(object('serving.knative.dev/v1', 'Service'), settings);

    expect(injected).to.deep.equal([]);
    expect(findings.map(({ object: name, message }) => `${name} ${message}`)).to.deep.equal([
      'Service/web has a pod template and was not injected',
    ]);
  });

  it('are no pod templates without containers', () => {
    const text = JSON.stringify({
      apiVersion: 'example.com/v1',
      kind: 'Letter',
      metadata: { name: 'a' },
      spec: { template: { text: 'Dear …' } },
    });

    expect(injectManifest(text, settings)).to.deep.include({ injected: [], findings: [] });
  });
});
