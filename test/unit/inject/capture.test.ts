/* Which ports of a pod are captured. */
import { expect } from 'chai';
import { planCapture } from '../../../src/inject/capture.ts';

const container = (...ports: readonly object[]): Readonly<Record<string, unknown>> => ({ name: 'app', ports });

describe('planCapture', () => {
  it('assigns agent ports in the order of the container ports, each once', () => {
    const ports = [{ containerPort: 9000 }, { containerPort: 80 }, { containerPort: 9000, name: 'again' }];

    expect(planCapture([container(...ports)], {})).to.deep.equal({
      captured: [
        { port: 80, listen: 15_101 },
        { port: 9000, listen: 15_102 },
      ],
      excluded: [],
      findings: [],
    });
  });

  it('never assigns an agent port that is excluded', () => {
    const { captured, excluded } = planCapture([container({ containerPort: 80 })], {
      'sallyport.dev/exclude-inbound-ports': '15102, 15101',
    });

    expect(captured).to.deep.equal([{ port: 80, listen: 15_103 }]);
    expect(excluded).to.deep.equal([15_101, 15_102]);
  });

  it('excludes the ports of both annotations, even if another annotation includes them', () => {
    const annotations = {
      'sallyport.dev/include-inbound-ports': '81,82,83',
      'sallyport.dev/exclude-inbound-ports': '81',
      'traffic.sidecar.istio.io/excludeInboundPorts': '82',
    };

    const { captured, excluded } = planCapture([], annotations);

    expect(captured.map(({ port }) => port)).to.deep.equal([83]);
    expect(excluded).to.deep.equal([81, 82]);
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
    ['included', { 'sallyport.dev/include-inbound-ports': '15099' }, []],
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

  it('accepts an empty annotation and spaces around ports', () => {
    const { captured, findings } = planCapture([], {
      'sallyport.dev/include-inbound-ports': ' 80 , 81 ',
      'sallyport.dev/exclude-inbound-ports': ' ',
    });

    expect(captured.map(({ port }) => port)).to.deep.equal([80, 81]);
    expect(findings).to.deep.equal([]);
  });

  it('warns of port names of other protocols, but not of names that only start alike or are excluded', () => {
    const ports = ['grpc', 'tcp-echo', 'redis', 'http', 'http2-api', 'grpcish', 'web'].map((name, at) => ({
      name,
      containerPort: 7000 + at,
    }));

    const { findings } = planCapture([container(...ports)], { 'sallyport.dev/exclude-inbound-ports': '7002' });

    expect(findings.map(({ path, severity }) => `${severity} ${path}`)).to.deep.equal(
      ['grpc', 'tcp-echo', 'http2-api'].map((name) => `warning spec.containers[app].ports[${name}]`),
    );
    expect(findings[0]?.message).to.equal(
      'the name "grpc" of port 7000 indicates grpc, but the agent supports only HTTP/1.1 and rejects other connections',
    );
  });
});
