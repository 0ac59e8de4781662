/*
 * Mocha root hooks (`--require`) for suites that share something until the last of them ends, as the node of test/e2e: the same as
 * leak-hooks.ts, once for the whole run.
 */
import type { RootHookObject } from 'mocha';
import { activeResources, expectNoLeftovers } from './leak-hooks.ts';

export const mochaHooks: RootHookObject = {
  async beforeAll(this: Mocha.Context) {
    const before = await activeResources();
    // Added now, it comes after the hooks of all files.
    this.test?.parent?.afterAll('leaves nothing behind', () => expectNoLeftovers(before));
  },
};
