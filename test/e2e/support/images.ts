/*
 * The images of the task, made without Docker. In: what `npm run build` bundles and the example's programs. Out: archives to
 * bring into the node, named as the chart, the manifests and the samples name them.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { VERSION } from '../../../src/version.ts';
import type { ImageFile, ImageSpec } from '../../cluster/images.ts';
import { buildImage } from '../../cluster/images.ts';
import { agentFlags } from '../../support/agent-flags.ts';
import { projectRoot } from './shell.ts';

const run = promisify(execFile);
const node = '/usr/local/bin/node';

/** Names of the images. Ours have the names that are the chart's default, so that nothing has to be set to use them. */
export const taskImages: Readonly<Record<'controller' | 'agent' | 'httpbin' | 'sleep', string>> = {
  controller: `sallyport/controller:${VERSION}`,
  agent: `sallyport/agent:${VERSION}`,
  /** httpbin.mjs and issuer.mjs of the example; runs the former on port 8080. */
  httpbin: 'sallyport/httpbin:example',
  /** curl and busybox. */
  sleep: 'sallyport/sleep:example',
};

/** Bundles the programs and builds the images. @returns paths of the archives */
export async function buildTaskImages(): Promise<readonly string[]> {
  await run(process.execPath, ['scripts/build.ts'], { cwd: projectRoot });
  const specs = [ours('controller', []), ours('agent', ['iptables']), httpbin(taskImages.httpbin), sleep(taskImages.sleep)];
  // The samples name images of a registry; the same programs stand in for them.
  const samples = [httpbin(imageOfSample('httpbin')), sleep(imageOfSample('sleep'))];
  return Promise.all([...specs, ...samples].map(buildImage));
}

/** As the Dockerfiles put them together. */
function ours(name: 'controller' | 'agent', layers: readonly 'iptables'[]): ImageSpec {
  const bundles = name === 'agent' ? ['agent.mjs', 'agent-grpc.mjs'] : [`${name}.mjs`];
  const flags = name === 'agent' ? agentFlags() : [];
  return {
    name: taskImages[name],
    layers: ['node', ...layers],
    files: bundles.map((file) => appFile(`dist/${file}`, file)),
    entrypoint: [node, ...flags, `/app/${name}.mjs`],
    env: { NODE_ENV: 'production' },
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
