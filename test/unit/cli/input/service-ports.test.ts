import { expect } from 'chai';
import { podPortOf } from '../../../../src/cli/input/service-ports.ts';
import { parseManifests } from '../../../../src/state/manifests.ts';

function service(name: string, spec: string): string {
  return `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: foo }\nspec: ${spec}\n---\n`;
}

const POD = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec:
  template:
    metadata: { labels: { app: web, tier: front } }
    spec: { containers: [{ ports: [{ name: http, containerPort: 8080 }] }] }
`;

function resolve(manifests: string, host: string, port: number, labels: Record<string, string> = { app: 'web' }): unknown {
  return podPortOf(parseManifests(manifests, 'a.yaml').objects, { namespace: 'foo', labels, host, port });
}

describe('podPortOf', () => {
  const web = service('web', '{ selector: { app: web }, ports: [{ port: 80, targetPort: 8000 }, { port: 81 }] }');
  const other = service('other', '{ selector: { app: web }, ports: [{ port: 80, targetPort: 9000 }] }');

  it('returns the target port of the Service', () => {
    expect(resolve(web, 'web.foo', 80)).to.deep.equal({ service: 'web', port: 8000 });
  });

  it('returns the port itself when it has no target port', () => {
    expect(resolve(web, 'web', 81)).to.deep.equal({ service: 'web', port: 81 });
  });

  it('prefers the Service that the host names', () => {
    expect(resolve(other + web, 'web.foo.svc', 80)).to.deep.equal({ service: 'web', port: 8000 });
    expect(resolve(other + web, 'elsewhere', 80)).to.deep.equal({ service: 'other', port: 9000 });
  });

  it('resolves a named target port in the pod template', () => {
    const named = service('web', '{ selector: { app: web }, ports: [{ port: 80, targetPort: http }] }');

    expect(resolve(named + POD, 'web', 80, { app: 'web', tier: 'front' })).to.deep.equal({ service: 'web', port: 8080 });
    expect(resolve(named, 'web', 80)).to.equal(undefined);
  });

  it('returns undefined for another port, other pods and Services without a selector', () => {
    expect(resolve(web, 'web', 8000)).to.equal(undefined);
    expect(resolve(web, 'web', 80, { app: 'sleep' })).to.equal(undefined);
    expect(resolve(service('web', '{ ports: [{ port: 80 }] }'), 'web', 80)).to.equal(undefined);
  });
});
