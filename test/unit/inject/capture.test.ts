/* Which ports of a pod are captured. */
import { expect } from 'chai';
import { planCapture } from '../../../src/inject/capture.ts';

const container = (...ports: readonly object[]): Readonly<Record<string, unknown>> => ({ name: 'app', ports });

describe('planCapture', () => {
  it('lists the container ports in their order, each once', () => {
    const ports = [{ containerPort: 9000 }, { containerPort: 80 }, { containerPort: 9000, name: 'again' }];

    expect(planCapture([container(...ports)], {})).to.deep.equal({
      captured: [80, 9000],
      excluded: [],
      only: undefined,
      appProtocols: [],
      findings: [],
    });
  });

  const ISTIO_INCLUDE = 'traffic.sidecar.istio.io/includeInboundPorts';

  it("captures only the ports of Istio's annotation and those that our own adds, and warns that others bypass the agent", () => {
    const annotations = {
      [ISTIO_INCLUDE]: '8080,9090',
      'sallyport.dev/include-inbound-ports': '7000',
      'sallyport.dev/exclude-inbound-ports': '9090',
    };
    const { captured, only, excluded, findings } = planCapture([container({ containerPort: 5432 })], annotations);

    expect({ captured, only, excluded }).to.deep.equal({ captured: [7000, 8080], only: [7000, 8080], excluded: [9090] });
    expect(findings.map(({ severity, path }) => [severity, path])).to.deep.equal([['warning', `metadata.annotations[${ISTIO_INCLUDE}]`]]);
  });

  it("captures every port for an asterisk in Istio's annotation, and rejects an empty list", () => {
    expect(planCapture([], { [ISTIO_INCLUDE]: '*' })).to.deep.include({ only: undefined, findings: [] });
    expect(planCapture([], { [ISTIO_INCLUDE]: ' ' }).findings.map(({ severity }) => severity)).to.deep.equal(['error']);
  });

  it('excludes the ports of both annotations, even if another annotation includes them', () => {
    const annotations = {
      'sallyport.dev/include-inbound-ports': '81,82,83',
      'sallyport.dev/exclude-inbound-ports': '81',
      'traffic.sidecar.istio.io/excludeInboundPorts': '82',
    };

    const { captured, excluded } = planCapture([], annotations);

    expect(captured).to.deep.equal([83]);
    expect(excluded).to.deep.equal([81, 82]);
  });

  it('says what the application speaks by the names of its ports, unless an annotation does', () => {
    const ports = [
      { containerPort: 80, name: 'http' },
      { containerPort: 81, name: 'grpc-api' },
      { containerPort: 82, name: 'web' },
    ];
    const protocolsOf = (annotations: object): readonly string[] => planCapture([container(...ports)], { ...annotations }).appProtocols;

    expect(protocolsOf({})).to.deep.equal(['80:http1', '81:http2']);
    expect(protocolsOf({ 'sallyport.dev/app-protocol': 'http2' })).to.deep.equal(['*:http2']);
    expect(protocolsOf({ 'sallyport.dev/app-protocol': 'client' })).to.deep.equal([]);
  });

  it('ignores ports that are not valid TCP ports', () => {
    const ports = [
      { containerPort: 0 },
      { containerPort: '80' },
      { containerPort: 53, protocol: 'UDP' },
      { containerPort: 3868, protocol: 'SCTP' },
    ];

    expect(planCapture([container(...ports), { name: 'no-ports' }], {}).captured).to.deep.equal([]);
  });

  for (const [what, annotations, ports] of [
    ['declared', {}, [{ containerPort: 15_020 }]],
    ['included', { 'sallyport.dev/include-inbound-ports': '15006' }, []],
    ['excluded', { 'sallyport.dev/exclude-inbound-ports': '15020' }, []],
  ] as const) {
    it(`rejects an agent port that is ${what}`, () => {
      const { findings } = planCapture([container(...ports)], annotations);

      expect(findings.map(({ severity, path }) => [severity, path])).to.deep.equal([['error', 'spec.containers']]);
      expect(findings[0]?.message).to.match(/^port 150\d\d is reserved for the agent$/);
    });
  }

  for (const list of ['http', '80,', '80;81', '0', '65536', '-1', '8 0', '80,,81', '1e3']) {
    it(`rejects ${JSON.stringify(list)} as a list of ports`, () => {
      const { captured, findings } = planCapture([], { 'sallyport.dev/include-inbound-ports': list });

      expect(captured).to.deep.equal([]);
      expect(findings.map(({ code, message }) => [code, message])).to.deep.equal([
        ['SP_ANNOTATION', `"${list}" is not a comma-separated list of ports`],
      ]);
    });
  }

  it('rejects more ports to exclude or to select than an init container has arguments for', () => {
    const ports = (first: number, count: number): string => Array.from({ length: count }, (_, at) => first + at).join(',');
    const errorsOf = (selected: number, excluded: number): readonly string[] =>
      planCapture([], {
        [ISTIO_INCLUDE]: ports(20_000, selected),
        'sallyport.dev/exclude-inbound-ports': ports(30_000, excluded),
      }).findings.flatMap(({ severity, message }) => (severity === 'error' ? [message] : []));

    expect(errorsOf(500, 500)).to.deep.equal([]);
    expect(errorsOf(500, 501)).to.deep.equal(['annotations exclude or select 1001 ports, and at most 1000 are allowed']);
  });

  it('accepts an empty annotation and spaces around ports', () => {
    const { captured, findings } = planCapture([], {
      'sallyport.dev/include-inbound-ports': ' 80 , 81 ',
      'sallyport.dev/exclude-inbound-ports': ' ',
    });

    expect(captured).to.deep.equal([80, 81]);
    expect(findings).to.deep.equal([]);
  });

  it('warns of ports whose requests are encrypted, but not of names that only start alike or are excluded', () => {
    const ports = ['grpc', 'https', 'redis', 'http', 'tls-api', 'httpsish', 'web'].map((name, at) => ({ name, containerPort: 7000 + at }));

    const { findings, appProtocols } = planCapture([container(...ports)], { 'sallyport.dev/exclude-inbound-ports': '7004' });

    expect(findings.map(({ path, severity }) => `${severity} ${path}`)).to.deep.equal(['warning spec.containers[app].ports[https]']);
    expect(findings[0]?.message).to.equal(
      'the name "https" of port 7001 indicates https, which the agent passes through as TCP: rules on requests apply in their form for TCP',
    );
    expect(appProtocols).to.deep.equal(['7000:http2', '7001:tcp', '7002:tcp', '7003:http1']);
  });

  it('has the protocols of ports that only a Service names', () => {
    const services = [{ service: 's', name: 'redis', number: 6379, target: 6379 }];

    expect(planCapture([container()], {}, services).appProtocols).to.deep.equal(['6379:tcp']);
  });
});
