/*
 * Reads the Node.js flags and the environment of the agent's image from Dockerfile.agent, to run or measure the agent as in a pod.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** E.g. `--max-old-space-size=160`. @throws Error when the Dockerfile has no entry point in JSON */
export function agentFlags(root: string = ROOT): readonly string[] {
  const entryPoint = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile(root))?.[1];
  if (entryPoint === undefined) throw new Error('Dockerfile.agent has no ENTRYPOINT in JSON');
  const flags = (JSON.parse(entryPoint) as readonly string[]).filter((part) => part.startsWith('--'));
  return flags.map((flag) => flag.replace('=/app/', `=${join(root, 'src/agent/tls')}/`));
}

/** Environment variables of the image, e.g. `{ NODE_ENV: 'production' }`. */
export function agentEnv(root: string = ROOT): Readonly<Record<string, string>> {
  const variables = /^ENV (.*)$/m.exec(dockerfile(root))?.[1]?.split(' ') ?? [];
  return Object.fromEntries(variables.map((variable) => variable.split('=') as [string, string]));
}

/** The Node.js of this process with environment and flags of the image: `env NODE_ENV=production … node --max-old-space-size=160`. */
export function agentCommand(root: string = ROOT): readonly string[] {
  const variables = Object.entries(agentEnv(root)).map(([name, value]) => `${name}=${value}`);
  return ['env', ...variables, process.execPath, ...agentFlags(root)];
}

function dockerfile(root: string): string {
  return readFileSync(join(root, 'Dockerfile.agent'), 'utf8');
}
