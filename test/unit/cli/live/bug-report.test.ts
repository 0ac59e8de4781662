import { expect } from 'chai';
import { collectReport } from '../../../../src/cli/live/bug-report.ts';
import type { RawObject } from '../../../../src/cluster/kube-object.ts';
import { type ListedCluster, sessionWith } from '../../../support/live-session.ts';

function report(cluster: ListedCluster): Promise<ReadonlyMap<string, string>> {
  return collectReport(sessionWith(cluster), { system: 'sallyport-system', logLines: 10 });
}

const named = (name: string, more: object): RawObject => ({ metadata: { namespace: 'sallyport-system', name }, ...more }) as RawObject;

describe('bug report', () => {
  const HEADERS = 'includeAdditionalHeadersInCheck: { x-api-key: s3cr3t }';
  const configs: readonly (readonly [form: string, text: string])[] = [
    ['YAML', `mesh:\n  extensionProviders:\n    - name: authz\n      envoyExtAuthzHttp:\n        service: authz.foo\n        ${HEADERS}\n`],
    ['YAML of one line', `{ mesh: { extensionProviders: [{ name: authz, envoyExtAuthzHttp: { service: authz.foo, ${HEADERS} } }] } }`],
    ['invalid YAML', `mesh: [\n  ${HEADERS}\n`],
  ];
  for (const [form, text] of configs) {
    it(`has no value of a provider header of the controller's configuration in ${form}`, async () => {
      const files = await report({ objects: { configmaps: [named('sallyport', { data: { 'config.yaml': text } })] } });

      const found = files.get('controller/config-maps.json');
      expect(found).to.include('"sallyport"').and.to.include('redacted').and.not.include('s3cr3t');
    });
  }

  for (const [form, jwks] of [
    ['JSON', '{"keys":[{"kty":"oct","kid":"h","k":"s3cr3t"}]}'],
    ['JSON with a comma too many', '{"keys":[{"kty":"oct","kid":"h","k":"s3cr3t",},]}'],
    ['JSON that is cut', '{"keys":[{"kty":"oct","kid":"h","k":"s3cr3t"'],
  ] as const) {
    it(`has no symmetric key of a key set in ${form}`, async () => {
      const policy = named('jwt', { spec: { jwtRules: [{ issuer: 'https://idp.example', jwks }] } });
      const found = (await report({ objects: { requestauthentications: [policy] } })).get('policies/requestauthentications.json');

      expect(found).to.include('https://idp.example').and.to.include('redacted').and.not.include('s3cr3t');
    });
  }

  it('keeps messages that start like JSON', async () => {
    const event = named('one', { message: '[SP_POLICY] rule 0 is invalid: {key' });

    expect((await report({ objects: { events: [event] } })).get('controller/events.json')).to.include(
      '[SP_POLICY] rule 0 is invalid: {key',
    );
  });

  it('has at most 5000 workloads, and says so', async () => {
    const pods = Array.from({ length: 5001 }, (_, at) => named(`pod-${at}`, {}));
    const files = await report({ objects: { pods: [...pods, named('pod-0', {})] } });

    expect(JSON.parse(files.get('workloads.json') ?? '{}')).to.deep.include({
      'sallyport-system/pod/pod-0': { pods: 2, agents: 0, faults: [] },
    });
    expect(files.get('errors.txt')).to.include('workloads: those of 1 pods, because there are more than 5000');
  });

  it('is limited, and says what it leaves out', async () => {
    const policies = Array.from({ length: 40 }, (_, at) => named(`p${at}`, { spec: { rules: ['x'.repeat(1024 * 1024)] } }));
    const configmaps = Array.from({ length: 5002 }, (_, at) => named(`c${at}`, {}));
    const pods = Array.from({ length: 22 }, (_, at) => named(`controller-${at}`, {}));
    const files = await report({ objects: { authorizationpolicies: policies, configmaps, pods } });

    expect(JSON.parse(files.get('policies/authorizationpolicies.json') ?? '')).to.have.length(31);
    expect(JSON.parse(files.get('controller/config-maps.json') ?? '')).to.have.length(5000);
    expect([...files.keys()].filter((name) => name.endsWith('.log'))).to.have.length(20);
    expect(files.get('errors.txt')?.trimEnd().split('\n')).to.deep.equal([
      'configmaps for controller/config-maps.json: 2 of 5002, because the list is too long',
      'logs: those of 2 pods, because there are too many',
      'authorizationpolicies for policies/authorizationpolicies.json: 9 of 40, because the list is too long',
    ]);
  });
});
