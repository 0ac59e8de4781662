/*
 * Reads the Node.js flags of the agent's image from Dockerfile.agent, to run or measure the agent as in a pod.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** E.g. `--max-old-space-size=160`. @throws Error when the Dockerfile has no entry point in JSON */
export function agentFlags(root: string = join(import.meta.dirname, '../..')): readonly string[] {
  const text = readFileSync(join(root, 'Dockerfile.agent'), 'utf8');
  const entryPoint = /^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1];
  if (entryPoint === undefined) throw new Error('Dockerfile.agent has no ENTRYPOINT in JSON');
  return (JSON.parse(entryPoint) as readonly string[]).filter((part) => part.startsWith('--'));
}
