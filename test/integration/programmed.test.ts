/*
 * `kubectl wait --for=condition=Programmed` is enough to know that a policy decides the next request, whichever of its twenty agents gets
 * it, also when agents come, go and hang meanwhile.
 */
import { expect } from 'chai';
import { AP } from '../support/controller-stage.ts';
import { SHOP, setUpFeed } from '../support/feed-stage.ts';
import type { PodAgentProcess } from '../support/pod-agent-process.ts';

const AGENTS = 20;
const REQUESTS = 1_000;
const AT_ONCE = 4;
const POLICY = 'all';
const nameOf = (at: number): string => `p${at}`;

describe('Programmed with twenty agents', function () {
  this.timeout(600_000);
  const at = setUpFeed();
  let edits = 0;

  const add = async (number: number): Promise<void> => {
    const address = `127.0.1.${number + 1}`;
    await at.createPod(nameOf(number), address);
    await at.startAgent(nameOf(number), undefined, address);
  };
  const agent = (number: number): PodAgentProcess => {
    const found = at.agents.get(nameOf(number));
    if (found === undefined) throw new Error(`no agent ${number}`);
    return found;
  };
  /** Denies another path. @returns the path, and whether the policy of this generation is programmed */
  const edit = async (): Promise<{ readonly path: string; readonly isProgrammed: () => Promise<boolean> }> => {
    edits += 1;
    const path = `/edit-${edits}`;
    const written = await at.cluster.policy(AP, POLICY, SHOP, { action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }] });
    const generation = (written.metadata as { readonly generation?: number } | undefined)?.generation;
    return {
      path,
      isProgrammed: async () => {
        const found = await at.cluster.condition(AP, POLICY, SHOP, 'Programmed');
        return found?.status === 'True' && found.observedGeneration === generation;
      },
    };
  };
  /** Statuses other than 403 of a thousand requests to each agent. */
  const oldVerdicts = async (path: string): Promise<readonly number[]> => {
    const old: number[] = [];
    const ask = async (one: PodAgentProcess): Promise<void> => {
      for (let sent = 0; sent < REQUESTS / AT_ONCE; sent += 1) {
        const status = await one.get(path);
        if (status !== 403) old.push(status);
      }
    };
    await Promise.all([...at.agents.values()].flatMap((one) => Array.from({ length: AT_ONCE }, () => ask(one))));
    return old;
  };

  before(async () => {
    for (let number = 0; number < AGENTS; number += 4) await Promise.all([0, 1, 2, 3].map((more) => add(number + more)));
  });

  it('means that every request gets the new verdict', async () => {
    for (let time = 0; time < 3; time += 1) {
      const { path, isProgrammed } = await edit();
      await at.see(isProgrammed, 'Programmed');
      expect(await oldVerdicts(path)).to.deep.equal([]);
    }
  });

  it('is not said while an agent hangs, which may still decide by the version before', async () => {
    agent(0).suspend(true);
    const { path, isProgrammed } = await edit();
    for (let number = 1; number < AGENTS; number += 1) await at.see(async () => (await agent(number).get(path)) === 403, `agent ${number}`);
    await at.see(
      async () => (await at.programmed(POLICY)).endsWith(`Not yet enforced by: ${SHOP}/p0`),
      'Programmed to name the agent that hangs',
    );
    expect(await isProgrammed()).to.equal(false);
    agent(0).suspend(false);
    await at.see(isProgrammed, 'Programmed');
    expect(await oldVerdicts(path)).to.deep.equal([]);
  });

  it('is right about agents that come and go during an edit', async () => {
    const coming = add(AGENTS);
    const going = (async (): Promise<void> => {
      await agent(1).kill();
      await agent(1).stop();
      at.agents.delete(nameOf(1));
      await at.cluster.deletePod(SHOP, nameOf(1));
    })();
    const { path, isProgrammed } = await edit();
    await Promise.all([coming, going]);
    await at.see(isProgrammed, 'Programmed');
    expect(at.agents.size).to.equal(AGENTS);
    expect(await oldVerdicts(path)).to.deep.equal([]);
  });
});
