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
    ['are not known when none is declared', {}, { containers: [{ name: 'a' }] }, undefined],
    ['are not known for a spec of the wrong type', {}, { containers: 'x' }, undefined],
  ];
  for (const [name, annotations, spec, ports] of cases) {
    it(name, () => expect(servedPortsOf({ ...annotations }, { ...spec }, undefined)).to.deep.equal(ports));
  }

  it('are those that the agent of the pod captures', () => {
    const agent = { ports: [8080], excluded: [], level: 2 as const };

    expect(servedPortsOf({ [EXCLUDE]: '8080' }, { containers: [container({ containerPort: 9 })] }, agent)).to.deep.equal([8080]);
  });
});

describe('what prevents an agent', () => {
  it('is the host network, Windows, or a static pod', () => {
    expect(agentObstacleOf({}, { hostNetwork: true })).to.equal('host-network');
    expect(agentObstacleOf({}, { os: { name: 'windows' } })).to.equal('windows');
    expect(agentObstacleOf({ 'kubernetes.io/config.mirror': 'x' }, { hostNetwork: true })).to.equal('static-pod');
    expect(agentObstacleOf({}, { hostNetwork: false, os: { name: 'linux' } })).to.equal(undefined);
  });
});
