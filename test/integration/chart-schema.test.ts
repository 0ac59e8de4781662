/*
 * Whatever passes values.schema.json is rendered by Helm to a configuration that the controller loads, or refused by Helm with a
 * reason. Values are generated from the schema itself, a few at a time.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseAllDocuments } from 'yaml';
import { loadControllerConfig } from '../../src/config/controller.ts';
import { createAddressGuards } from '../../src/jwks/address-guard.ts';
import { binaryPath, build } from '../cluster/build.ts';
import { withDirectory } from '../support/temporary-directory.ts';
import { type JsonSchema, valuesOf } from '../support/values-of-schema.ts';

const run = promisify(execFile);
const chart = new URL('../../charts/sallyport/', import.meta.url);
const schema = JSON.parse(readFileSync(new URL('values.schema.json', chart), 'utf8')) as JsonSchema;
const isValid = new Ajv({ strict: false }).compile(schema);
const RUNS = 120;

interface Rendered {
  readonly kind: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } };
}

interface Container {
  readonly args?: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
}

/** The objects that the chart renders to, or the message with which Helm refuses the values. */
async function render(values: unknown): Promise<readonly Rendered[] | string> {
  return withDirectory({ 'values.json': JSON.stringify(values) }, async (directory) => {
    const args = ['template', 'sallyport', chart.pathname, '--namespace', 'sallyport-system', '--values', `${directory}/values.json`];
    try {
      const { stdout } = await run(binaryPath('helm'), args, { maxBuffer: 1e8 });
      return parseAllDocuments(stdout).flatMap((document): readonly Rendered[] => {
        expect(document.errors).to.deep.equal([]);
        const object = document.toJS() as Rendered | null;
        return object === null ? [] : [object];
      });
    } catch (error) {
      return (error as { readonly stderr?: string }).stderr ?? String(error);
    }
  });
}

/** Loads the rendered configuration as the controller does. @throws RefusedError */
function load(objects: readonly Rendered[]): ReturnType<typeof loadControllerConfig> {
  const fileText = objects.find(({ kind }) => kind === 'ConfigMap')?.data?.['config.yaml'] ?? '';
  const container = objects.find(({ kind }) => kind === 'Deployment')?.spec?.template.spec.containers[0];
  const env = Object.fromEntries(container?.env.map(({ name, value }) => [name, value]) ?? []);
  const config = loadControllerConfig({ args: container?.args ?? [], env, fileText });
  createAddressGuards(config.jwks);
  return config;
}

describe('values that pass the schema of the chart', function () {
  this.timeout(300_000);
  before(() => build('integration'));

  it('render to a configuration that the controller loads, whatever they are', async () => {
    let rendered = 0;
    await fc.assert(
      fc.asyncProperty(valuesOf(schema), async (values) => {
        fc.pre(isValid(values));
        const objects = await render(values);
        if (typeof objects === 'string') {
          expect(objects).to.match(/leaderElection.enabled must be true|two providers with the name/);
          return;
        }
        rendered += 1;
        load(objects);
      }),
      { numRuns: RUNS },
    );
    expect(rendered).to.be.greaterThan(RUNS / 2);
  });

  const REFUSED: readonly (readonly [what: string, values: object])[] = [
    ['a provider without a kind', { mesh: { extensionProviders: [{ name: 'a' }] } }],
    [
      'a provider with two kinds',
      {
        mesh: {
          extensionProviders: [{ name: 'a', envoyExtAuthzHttp: { service: 's', port: 1 }, envoyExtAuthzGrpc: { service: 's', port: 1 } }],
        },
      },
    ],
    [
      'two providers of one name',
      { mesh: { extensionProviders: [1, 2].map((port) => ({ name: 'a', envoyExtAuthzGrpc: { service: 's', port } })) } },
    ],
    ['a prefix that is too long', { jwks: { blockedCidrs: ['10.0.0.0/33'] } }],
    ['an internal source out of range', { jwks: { internalSources: [{ cidrs: ['10.0.0.0/33'] }] } }],
    ['an internal source without addresses', { jwks: { internalSources: [{ namespaces: ['foo'] }] } }],
    ['a byte that is too large', { jwks: { blockedCidrs: ['10.0.256.0/8'] } }],
    ['a host name as proxy', { mesh: { trustedProxies: ['proxy.example'] } }],
    ['an address with a zone as proxy', { mesh: { trustedProxies: ['fe80::1%eth0'] } }],
    ['a misspelt key in the security context of the container', { containerSecurityContext: { runAsNonroot: true } }],
    ['a key of a container in the security context of the pod', { podSecurityContext: { readOnlyRootFilesystem: true } }],
    ['a misspelt key in capabilities', { containerSecurityContext: { capabilities: { droop: ['ALL'] } } }],
    ['a misspelt key in affinity', { affinity: { nodeAffinitty: {} } }],
    ['a misspelt key deep in affinity', { affinity: { podAntiAffinity: { requiredDuringScheduling: [] } } }],
    ['a misspelt key in extraEnv', { extraEnv: [{ name: 'A', valu: 'b' }] }],
    ['a variable without a name', { extraEnv: [{ value: 'b' }] }],
    ['a setting of the controller as a variable', { extraEnv: [{ name: 'SALLYPORT_WORKERS', value: 'many' }] }],
    ['an unknown argument', { extraArgs: ['--worker=3'] }],
    ['a misspelt key in tolerations', { tolerations: [{ operater: 'Exists' }] }],
    ['a handler in a probe', { livenessProbe: { httpGet: { path: '/' } } }],
    ['claims in the resources of agents', { agent: { resources: { claims: [] } } }],
    ['a quantity that is not one', { agent: { resources: { limits: { cpu: 'half' } } } }],
    ['several replicas without leader election', { replicaCount: 2, leaderElection: { enabled: false } }],
    ['profiles on the loopback address of the node', { profilingPort: 6060, hostNetwork: true }],
    ['an invalid name', { fullnameOverride: 'Guard_1' }],
    ['a sample rate above 1', { agent: { accessLogSampleRate: 2 } }],
    [
      'a status that Envoy does not know',
      { mesh: { extensionProviders: [{ name: 'a', envoyExtAuthzGrpc: { service: 's', port: 1, statusOnError: 418 } }] } },
    ],
  ];
  for (const [what, values] of REFUSED) {
    it(`do not include ${what}`, async () => expect(await render(values)).to.be.a('string'));
  }

  it("take a section of Istio's MeshConfig: other providers are left out, an old name is read, a setting without meaning is named", async () => {
    const login = { name: 'login', envoyExtAuthzHttp: { service: 'login.auth', port: 4180, includeHeadersInCheck: ['cookie'] } };
    const mesh = { extensionProviders: [{ name: 'traces', opentelemetry: { service: 'collector.obs', port: 4317 } }, login] };
    const { mesh: loaded } = load((await render({ mesh })) as readonly Rendered[]);
    expect(loaded.extensionProviders).to.have.length(1);
    expect(loaded.extensionProviders[0]).to.deep.include({ name: 'login', includeRequestHeadersInCheck: ['cookie'] });
    expect(await render({ mesh: { accessLogFile: '/dev/stdout' } })).to.include('mesh.accessLogFile: this setting of Istio');
  });

  it('reach the agents as settings of the injection', async () => {
    const agent = {
      initResources: { limits: { cpu: '100m', memory: '64Mi' } },
      accessLogSampleRate: 0.5,
      drainSeconds: 30,
      maxConnections: 100,
      annotationBounds: { maxConnections: 200, cpuLimit: 1 },
      logFormat: 'text',
      traces: { endpoint: 'http://collector.obs:4318', samplerArg: 0.1 },
    };
    const { webhook } = load((await render({ agent })) as readonly Rendered[]);
    expect(webhook.initResources?.limits).to.deep.equal({ cpu: '100m', memory: '64Mi' });
    expect(webhook).to.include({ agentAccessLogSampleRate: 0.5, agentDrainSeconds: 30, agentMaxConnections: 100, agentLogFormat: 'text' });
    expect(webhook.agentTraces).to.deep.equal({
      endpoint: 'http://collector.obs:4318',
      sampler: 'parentbased_always_on',
      samplerArg: 0.1,
    });
    expect(load((await render({})) as readonly Rendered[]).webhook).to.not.have.property('agentTraces');
    const traces = { endpoint: 'https://collector.obs:4318', sampler: 'traceidratio', samplerArg: 0.5 };
    const controller = load((await render({ traces, profilingPort: 6060 })) as readonly Rendered[]);
    expect([controller.traces, controller.profilingPort]).to.deep.equal([traces, 6060]);
    expect(controller.webhook).to.not.have.property('agentTraces');
    expect(webhook.annotationBounds).to.deep.equal({
      accessLogOff: false,
      excludePorts: 'exceptRootPolicies',
      maxConnections: 200,
      cpuLimit: '1',
    });
  });
});
