import { expect } from 'chai';
import { AGENT_SETTINGS, type AgentSetting, loadAgentConfig } from '../../../src/config/agent.ts';
import { AGENT_REFERENCE } from '../../../src/config/agent-reference.ts';

const flags = Object.keys(AGENT_SETTINGS) as readonly AgentSetting[];

describe('agent reference', () => {
  it('describes every setting in the order of the settings', () => {
    expect(Object.keys(AGENT_REFERENCE)).to.deep.equal(flags);
    for (const flag of flags) expect(AGENT_REFERENCE[flag].description, flag).to.match(/^[A-Z].*\.$/);
  });

  it('names defaults that the agent uses', () => {
    const withDefaults = flags
      .filter((flag) => AGENT_REFERENCE[flag].fallback !== '')
      .map((flag) => `--${flag}=${AGENT_REFERENCE[flag].fallback}`);
    // The application's address is the pod's own when the flag is set, and 127.0.0.1 without it.
    expect(withDefaults).to.include('--pod-ip=127.0.0.1');
    const args = withDefaults.filter((argument) => !argument.startsWith('--pod-ip'));
    expect(loadAgentConfig(args, {})).to.deep.equal(loadAgentConfig([], {}));
  });

  it('leaves out the defaults of optional settings only', () => {
    const without = flags.filter((flag) => AGENT_REFERENCE[flag].fallback === '');
    expect(without).to.deep.equal([
      'namespace',
      'workload',
      'trust-anchor',
      'feed',
      'labels-file',
      'state-dir',
      'ports',
      'app-protocols',
      'capture-port',
      'profiling-port',
      'blocked-port',
      'otlp-endpoint',
      'pod-name',
      'tls',
    ]);
  });
});
