/*
 * Builds the images of the task without Docker, from the files of `npm run build` and the example's programs. They have the
 * names that the chart, the manifests and the samples use.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { VERSION } from '../../../src/version.ts';
import type { ImageFile, ImageSpec } from '../../cluster/images.ts';
import { buildImage } from '../../cluster/images.ts';
import { agentEnv, agentFlags } from '../../support/agent-flags.ts';
import { projectRoot } from './shell.ts';

const run = promisify(execFile);
const node = '/usr/local/bin/node';

/** Names of the images. Ours have the chart's default names, so that no value needs to be set. */
export const taskImages: Readonly<Record<'controller' | 'agent' | 'httpbin' | 'sleep', string>> = {
  controller: `registry.invalid/sallyport/controller:${VERSION}`,
  agent: `registry.invalid/sallyport/agent:${VERSION}`,
  /** httpbin.mjs and issuer.mjs of the example; runs the former on port 8080. */
  httpbin: 'sallyport/httpbin:example',
  /** curl and busybox. */
  sleep: 'sallyport/sleep:example',
};

/** Bundles the programs and builds the images. @returns paths of the archives */
export async function buildTaskImages(): Promise<readonly string[]> {
  await run(process.execPath, ['scripts/build.ts'], { cwd: projectRoot });
  const specs = [ours('controller', []), ours('agent', ['iptables']), httpbin(taskImages.httpbin), sleep(taskImages.sleep)];
  // The samples name images of a registry; these programs replace them.
  const samples = [httpbin(imageOfSample('httpbin')), sleep(imageOfSample('sleep'))];
  return Promise.all([...specs, ...samples].map(buildImage));
}

/** The same content as the Dockerfiles'. */
function ours(name: 'controller' | 'agent', layers: readonly 'iptables'[]): ImageSpec {
  const bundles = name === 'agent' ? ['agent.mjs', 'agent-grpc.mjs'] : [`${name}.mjs`];
  const flags = name === 'agent' ? agentFlags() : [];
  return {
    name: taskImages[name],
    layers: ['node', ...layers],
    files: bundles.map((file) => appFile(`dist/${file}`, file)),
    entrypoint: [node, ...flags, `/app/${name}.mjs`],
    env: name === 'agent' ? agentEnv() : { NODE_ENV: 'production' },
  };
}

function httpbin(name: string): ImageSpec {
  const files = ['httpbin.mjs', 'issuer.mjs'].map((file) => appFile(`examples/jwt-task/${file}`, file));
  return { name, layers: ['node'], files, entrypoint: [node], cmd: ['/app/httpbin.mjs'], env: { PORT: '8080' } };
}

function sleep(name: string): ImageSpec {
  return { name, layers: ['busybox', 'curl'], entrypoint: ['/bin/sh', '-c', 'while :; do sleep 3600; done'] };
}

function appFile(from: string, name: string): ImageFile {
  return { path: `/app/${name}`, from: join(projectRoot, from), mode: 0o644 };
}

function imageOfSample(name: string): string {
  const text = readFileSync(join(projectRoot, 'manifests/samples', `${name}.yaml`), 'utf8');
  const image = /^\s*image: (\S+)$/m.exec(text)?.[1];
  if (image === undefined) throw new Error(`manifests/samples/${name}.yaml names no image`);
  return image;
}
