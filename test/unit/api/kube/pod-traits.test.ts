import { expect } from 'chai';
import { agentObstacleOf, servedPortsOf } from '../../../../src/api/kube/pod-traits.ts';

const container = (...ports: readonly unknown[]): object => ({ name: 'a', ports });
const INCLUDE = 'sallyport.dev/include-inbound-ports';
const EXCLUDE = 'sallyport.dev/exclude-inbound-ports';

describe('ports that an agent serves', () => {
  const cases: readonly (readonly [name: string, annotations: object, spec: object, ports: readonly number[] | undefined])[] = [
    ['are those of the containers', {}, { containers: [container({ containerPort: 9 }), container({ containerPort: 7 })] }, [7, 9]],
    ['leave UDP out', {}, { containers: [container({ containerPort: 53, protocol: 'UDP' }, { containerPort: 8 })] }, [8]],
    ['include those of sidecars', {}, { initContainers: [{ ...container({ containerPort: 5 }), restartPolicy: 'Always' }] }, [5]],
    ['leave those of init containers out', {}, { initContainers: [container({ containerPort: 5 })] }, undefined],
    ['follow the annotations', { [INCLUDE]: '1, 2', [EXCLUDE]: '3' }, { containers: [container({ containerPort: 3 })] }, [1, 2]],
    [
      'are those that injection captured',
      { 'sallyport.dev/agent': '{"ports":[8080]}' },
      { containers: [container({ containerPort: 9 })] },
      [8080],
    ],
    ['are empty when injection captured no port', { 'sallyport.dev/agent': '{"ports":[]}' }, {}, []],
    [
      'are those declared when the annotation says nothing',
      { 'sallyport.dev/agent': '{}' },
      { containers: [container({ containerPort: 9 })] },
      [9],
    ],
    [
      'are those declared when the annotation is not JSON',
      { 'sallyport.dev/agent': '{' },
      { containers: [container({ containerPort: 9 })] },
      [9],
    ],
    ['are not known when none is declared', {}, { containers: [{ name: 'a' }] }, undefined],
    ['are not known for a spec of the wrong type', {}, { containers: 'x' }, undefined],
  ];
  for (const [name, annotations, spec, ports] of cases) {
    it(name, () => expect(servedPortsOf({ ...annotations }, { ...spec })).to.deep.equal(ports));
  }
});

describe('what prevents an agent', () => {
  it('is the host network, Windows, or a static pod', () => {
    expect(agentObstacleOf({}, { hostNetwork: true })).to.equal('host-network');
    expect(agentObstacleOf({}, { os: { name: 'windows' } })).to.equal('windows');
    expect(agentObstacleOf({ 'kubernetes.io/config.mirror': 'x' }, { hostNetwork: true })).to.equal('static-pod');
    expect(agentObstacleOf({}, { hostNetwork: false, os: { name: 'linux' } })).to.equal(undefined);
  });
});
