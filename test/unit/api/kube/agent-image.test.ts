import { expect } from 'chai';
import { initImageOf } from '../../../../src/api/kube/agent-image.ts';

describe('image of the init container', () => {
  for (const [agent, init] of [
    ['registry.example:5000/sallyport/agent:1.2.3', 'registry.example:5000/sallyport/redirect:1.2.3'],
    ['sallyport/agent', 'sallyport/redirect'],
    ['agent:1', 'redirect:1'],
  ] as const) {
    it(`is ${init} next to ${agent}`, () => expect(initImageOf(agent)).to.equal(init));
  }

  for (const agent of [
    'example/my-agent:1',
    'example/agent/node:1',
    `example/agent@sha256:${'0'.repeat(64)}`,
    'example/agent:1@sha256:0',
    '',
  ]) {
    it(`cannot be derived from "${agent}"`, () => expect(initImageOf(agent)).to.equal(undefined));
  }
});
