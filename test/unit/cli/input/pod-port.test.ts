/* The port of the pod in requests that do not name it, from manifests, for explain, test and diff. */
import { expect } from 'chai';
import { runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

interface Shop {
  /** Ports of the Service; absent: no Service. */
  readonly service?: string;
  readonly containerPorts?: string;
  /** Of the rule. */
  readonly port: number;
  /** Line of an annotation of the Deployment. */
  readonly annotation?: string;
}

function manifests({ service, containerPorts = '[{ name: http, containerPort: 8080 }]', port, annotation = '' }: Shop): string {
  return `${
    service === undefined
      ? ''
      : `apiVersion: v1
kind: Service
metadata: { name: orders, namespace: shop }
spec: { selector: { app: orders }, ports: ${service} }
---
`
  }apiVersion: apps/v1
kind: Deployment
metadata: { name: orders, namespace: shop, annotations: { ${annotation} } }
spec: { template: { metadata: { labels: { app: orders } }, spec: { containers: [{ name: app, ports: ${containerPorts} }] } } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-admin, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ["${port}"], paths: ["/admin*"] } }] }] }
`;
}

const TO_8080 = '[{ name: http, port: 80, targetPort: 8080 }]';
const NAMED = '[{ port: 80, targetPort: http }]';
const TWO = '[{ containerPort: 8080 }, { containerPort: 9090 }]';

/** The verdict of `explain` for the URL. */
async function verdict(shop: Shop, ...args: readonly string[]): Promise<string> {
  return await withDirectory({ 'all.yaml': manifests(shop) }, async (cwd) => {
    const { stdout } = await runCommand(['explain', 'all.yaml', '--workload', 'shop/orders', ...args], { cwd });
    return stdout.split(' ', 1)[0] ?? '';
  });
}

describe('the port of the pod', () => {
  const cases: readonly (readonly [what: string, shop: Shop, args: readonly string[], verdict: string])[] = [
    ['the target of port 80 without a port in the URL', { service: TO_8080, port: 8080 }, ['--url', 'http://orders.shop/admin'], 'deny'],
    ['not the port of the Service', { service: TO_8080, port: 80 }, ['--url', 'http://orders.shop/admin'], 'allow'],
    ['the target of the port in the URL', { service: TO_8080, port: 8080 }, ['--url', 'http://orders.shop:80/admin'], 'deny'],
    ['the target of port 80 for a path', { service: TO_8080, port: 8080 }, ['--url', '/admin'], 'deny'],
    ['the named port of the container', { service: NAMED, port: 8080 }, ['--url', 'http://orders/admin'], 'deny'],
    [
      'the target of port 443 for https',
      { service: '[{ port: 443, targetPort: 8080 }]', port: 8080 },
      ['--url', 'https://x/admin'],
      'deny',
    ],
    ['that of port 80 for https if the Service has no 443', { service: TO_8080, port: 8080 }, ['--url', 'https://x/admin'], 'deny'],
    [
      'the target of the port in Host',
      { service: '[{ port: 9, targetPort: 8080 }]', port: 8080 },
      ['-H', 'Host: a:9', '--url', '/admin'],
      'deny',
    ],
    ['the only port of the pod without a Service', { port: 8080 }, ['--url', 'http://orders.shop/admin'], 'deny'],
    ['the only port of the pod for https', { port: 8080 }, ['--url', 'https://orders.example/admin'], 'deny'],
    [
      'the only port of the pod if no Service has port 80',
      { service: '[{ port: 9, targetPort: 1 }]', port: 8080 },
      ['--url', '/admin'],
      'deny',
    ],
    ['80 if the pod serves several', { containerPorts: TWO, port: 80 }, ['--url', '/admin'], 'deny'],
    ['the port in the URL that no Service has', { port: 8081 }, ['--url', 'http://orders.shop:8081/admin'], 'deny'],
    ['the one of --port in any case', { service: TO_8080, port: 9 }, ['--port', '9', '--url', 'http://orders.shop/admin'], 'deny'],
    [
      'that of the upstream of sallyport run',
      { annotation: 'sallyport.dev/upstream: "127.0.0.1:9000"', port: 9000 },
      ['--url', '/admin'],
      'deny',
    ],
  ];
  for (const [what, shop, args, expected] of cases) {
    it(`is ${what}`, async () => expect(await verdict(shop, ...args)).to.equal(expected));
  }

  it('is that of the Service in a raw request, too', async () => {
    const files = { 'all.yaml': manifests({ service: TO_8080, port: 8080 }), 'r.http': 'GET /admin HTTP/1.1\nHost: orders.shop\n\n' };
    await withDirectory(files, async (cwd) => {
      expect((await runCommand(['explain', 'all.yaml', '--request', 'r.http'], { cwd })).stdout).to.match(/^deny/);
    });
  });

  const table = (expected: string): string =>
    `manifests: [all.yaml]\nworkload: shop/orders\ntests:\n  - { name: admin, request: { path: /admin, host: orders.shop }, expect: ${expected} }\n`;

  it('is that of the Service in tables of tests, and a rule with the port of the Service is a finding', async () => {
    const files = { 'all.yaml': manifests({ service: TO_8080, port: 80 }), 'a.sallyport-test.yaml': table('deny') };
    await withDirectory(files, async (cwd) => {
      const { exitCode, stdout, stderr } = await runCommand(['test', '.'], { cwd });
      expect(exitCode).to.equal(79);
      expect(stdout).to.include('FAIL  admin');
      expect(stderr).to.include('port 80 never matches');
    });
    const right = { 'all.yaml': manifests({ service: TO_8080, port: 8080 }), 'a.sallyport-test.yaml': table('deny') };
    await withDirectory(right, async (cwd) => {
      const { exitCode, stderr } = await runCommand(['test', '.'], { cwd });
      expect([exitCode, stderr.includes('never matches')]).to.deep.equal([0, false]);
    });
  });

  it('is that of the Service in requests of diff, and a rule with the port of the Service is a finding', async () => {
    const files = {
      'a/all.yaml': manifests({ service: TO_8080, port: 80 }),
      'b/all.yaml': manifests({ service: TO_8080, port: 8080 }),
      'requests.jsonl':
        '{"url":"http://orders.shop/admin"}\n{"url":"http://orders.shop:80/admin"}\n{"path":"/admin","host":"orders.shop"}\n{"path":"/admin"}\n',
    };
    await withDirectory(files, async (cwd) => {
      const { stdout, stderr } = await runCommand(['diff', 'a', 'b', '--requests', 'requests.jsonl'], { cwd });
      expect(stdout).to.match(/\n4 +shop\/deployment\/orders +allow +deny 403 /);
      expect(stderr).to.match(/a\/all\.yaml:.*port 80 never matches/);
      expect(stderr).not.to.match(/b\/all\.yaml:.*never matches/);
    });
  });

  it('is not reported as unserved when it is the port of the upstream of sallyport run', async () => {
    const shop = { annotation: 'sallyport.dev/upstream: "127.0.0.1:9000"', port: 9000 };
    await withDirectory({ 'all.yaml': manifests(shop) }, async (cwd) => {
      expect((await runCommand(['check', 'all.yaml'], { cwd })).stdout).not.to.include('SP_NEVER_MATCHES');
    });
  });
});
