import { expect } from 'chai';
import type { AuthorizationPolicy, AuthorizationRule } from '../../../src/api/istio/resources.ts';
import { findUnservedPorts, type ServedPorts } from '../../../src/lint/unserved-ports.ts';

function policy(...rules: readonly AuthorizationRule[]): AuthorizationPolicy {
  return { kind: 'AuthorizationPolicy', metadata: { namespace: 'shop', name: 'p' }, spec: { action: 'DENY', rules } };
}

const serves = (...ports: readonly number[]): ServedPorts => ({ served: () => new Set(ports) });
const ports = (values: readonly string[]): AuthorizationRule => ({ to: [{ operation: { ports: values } }] });

const CASES: readonly (readonly [name: string, rule: AuthorizationRule, served: ServedPorts, paths: readonly string[]])[] = [
  ['names the port of the Service', ports(['80']), serves(8080), ['spec.rules[0].to[0].operation.ports[0]']],
  ['names a port that the pods serve', ports(['8080']), serves(8080), []],
  ['names both', ports(['8080', '80']), serves(8080), ['spec.rules[0].to[0].operation.ports[1]']],
  ['names a port that one of several workloads serves', ports(['9090']), serves(8080, 9090), []],
  ['selects pods whose ports are not known', ports(['80']), { served: () => undefined }, []],
  ['excludes a port', { to: [{ operation: { notPorts: ['80'] } }] }, serves(8080), ['spec.rules[0].to[0].operation.notPorts[0]']],
  ['names it in a condition', { when: [{ key: 'destination.port', values: ['443'] }] }, serves(8443), ['spec.rules[0].when[0].values[0]']],
  [
    'excludes it in a condition',
    { when: [{ key: 'destination.port', notValues: ['1'] }] },
    serves(2),
    ['spec.rules[0].when[0].notValues[0]'],
  ],
  ['has another condition', { when: [{ key: 'request.headers[x-port]', values: ['80'] }] }, serves(8080), []],
  ['names a value that is no port', ports(['http']), serves(8080), []],
];

describe('ports that no selected pod serves', () => {
  for (const [name, rule, served, paths] of CASES) {
    it(`are${paths.length === 0 ? ' not' : ''} reported when a rule ${name}`, () => {
      const found = findUnservedPorts(policy(rule), served);
      expect(found.map(({ path }) => path)).to.deep.equal(paths);
      for (const finding of found) expect(finding).to.include({ code: 'SP_NEVER_MATCHES', severity: 'warning' });
    });
  }

  it('name the port behind that of the Service, or else those that the pods serve', () => {
    const behindService = (port: number): ReturnType<NonNullable<ServedPorts['behindService']>> =>
      port === 80 ? { service: 'orders', port: 8080 } : undefined;
    const hints = findUnservedPorts(policy(ports(['80', '81'])), { ...serves(9000, 8080), behindService }).map(({ hint }) => hint);
    expect(hints).to.deep.equal(['Service orders leads from port 80 to 8080: write "8080"', 'the selected pods serve 8080, 9000']);
  });

  it('are not looked up for a policy that names none', () => {
    const served = (): never => expect.fail('looked up');
    expect(findUnservedPorts(policy({ to: [{ operation: { paths: ['/'] } }] }), { served })).to.deep.equal([]);
  });
});
