/*
 * One node for all suites of this directory, started by the first suite that needs it and stopped after the last; with
 * SALLYPORT_TEST_CLUSTER, the running one. Suites call it in `before`.
 */
import type { TestNode } from '../../cluster/node.ts';
import { startNode } from '../../cluster/node.ts';
import { buildTaskImages } from './images.ts';
import type { Shell } from './shell.ts';
import { createShell } from './shell.ts';

/** The node and a shell on it. */
export interface SharedNode {
  readonly node: TestNode;
  readonly shell: Shell;
}

let shared: Promise<SharedNode> | undefined;

/** The node with the images of the task. Takes about 20 s the first time, no time afterwards. */
export function sharedNode(): Promise<SharedNode> {
  shared ??= start();
  return shared;
}

async function start(): Promise<SharedNode> {
  const images = await buildTaskImages();
  const node = await startNode({ images, audit: true });
  return { node, shell: createShell(node) };
}

// Loaded by a test file's import, so this is a hook of mocha's root suite: it runs after the last suite.
after(async function () {
  this.timeout(60_000);
  const started = await shared?.catch(() => undefined);
  await started?.node.stop();
});
