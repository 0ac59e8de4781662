/* What of a pod's containers is reported as able to bypass its agent. */
import { expect } from 'chai';
import { privilegesOf } from '../../../../src/api/kube/container-privileges.ts';
import { type Fields, fieldsOf, itemsOf } from '../../../../src/api/kube/pod-fields.ts';
import { injected } from '../../../support/guarded-pods.ts';

function spec(container: Fields = {}, more: Fields = {}): Fields {
  const pod = injected({ metadata: { name: 'web' }, spec: { containers: [{ name: 'app' }] } });
  return { ...fieldsOf(pod['spec']), containers: [{ name: 'app', ...container }], ...more };
}

describe('privilegesOf', () => {
  const capable = (...add: readonly string[]): Fields => spec({ securityContext: { capabilities: { add } } });
  const cases: readonly (readonly [string, Fields, readonly string[]])[] = [
    ['nothing of an ordinary pod', spec(), []],
    ['no harmless capability', capable('NET_BIND_SERVICE', 'CHOWN'), []],
    ['each dangerous capability', capable('NET_ADMIN', 'SYS_PTRACE'), ['container app has NET_ADMIN', 'container app has SYS_PTRACE']],
    [
      'a capability in other spellings',
      capable('cap_net_admin', 'sys_admin'),
      ['container app has NET_ADMIN', 'container app has SYS_ADMIN'],
    ],
    ['a privileged container', spec({ securityContext: { privileged: true } }), ['container app is privileged']],
    ['a shared process namespace', spec({}, { shareProcessNamespace: true }), ['the pod sets shareProcessNamespace']],
    ["the node's process namespace", spec({}, { hostPID: true }), ['the pod sets hostPID']],
    ["the agent's user", spec({ securityContext: { runAsUser: 57_020 } }), ["container app runs as the agent's user"]],
    ["the agent's user of the pod", spec({}, { securityContext: { runAsUser: 57_020 } }), ["container app runs as the agent's user"]],
    ['no other user', spec({ securityContext: { runAsUser: 65_532 } }, { securityContext: { runAsUser: 57_020 } }), []],
    [
      'a mount of a volume of the agent',
      spec({ volumeMounts: [{ name: 'sallyport-state', mountPath: '/x' }] }),
      ['container app mounts sallyport-state'],
    ],
    [
      'ephemeral containers',
      spec({}, { ephemeralContainers: [{ name: 'debug', targetContainerName: 'sallyport-agent', securityContext: { privileged: true } }] }),
      ['container debug is privileged', 'container debug targets sallyport-agent'],
    ],
  ];
  for (const [name, of, expected] of cases) it(`reports ${name}`, () => expect(privilegesOf(of)).to.deep.equal(expected));

  it("compares with the user of the pod's own agent", () => {
    const { initContainers, ...rest } = spec({ securityContext: { runAsUser: 65_532 } });
    const earlier = itemsOf(initContainers).map((one) => ({
      ...one,
      ...(one['name'] === 'sallyport-agent' ? { securityContext: { runAsUser: 65_532 } } : {}),
    }));

    expect(privilegesOf({ ...rest, initContainers: earlier })).to.deep.equal(["container app runs as the agent's user"]);
  });
});
