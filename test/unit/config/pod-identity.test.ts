import { expect } from 'chai';
import { type ControllerConfig, loadControllerConfig } from '../../../src/config/controller.ts';
import { requireAddresses } from '../../../src/config/pod-identity.ts';

describe('settings for identities by address', () => {
  const configOf = (fileText: string): ControllerConfig =>
    loadControllerConfig({ args: [], env: {}, fileText: `webhook: { enabled: true, agentImage: "example/agent:1" }\n${fileText}` });

  for (const [fileText, reason] of [
    ['mesh: { peerIdentity: { podIP: true } }', /^mesh\.peerIdentity\.podIP: needs feed\.enabled/],
    [
      'mesh: { peerIdentity: { podIP: true } }\nfeed: { enabled: true }\nwatchNamespaces: [shop]',
      /^mesh\.peerIdentity\.podIP: needs the pods of all namespaces; remove watchNamespaces$/,
    ],
  ] as const)
    it(`refuses ${fileText.replaceAll('\n', ', ')}`, () => {
      const config = configOf(fileText);

      expect(() => requireAddresses(config))
        .to.throw(reason)
        .with.property('code', 'SP_CONFIG');
    });

  for (const fileText of [
    'mesh: { peerIdentity: { podIP: true } }\nfeed: { enabled: true }',
    'watchNamespaces: [shop]\nfeed: { enabled: true }',
    '',
  ])
    it(`accepts ${fileText === '' ? 'the defaults' : fileText.replaceAll('\n', ', ')}`, () => {
      const config = configOf(fileText);

      expect(requireAddresses(config)).to.equal(config);
    });
});
