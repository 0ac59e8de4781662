/*
 * The images of the task, made without Docker. In: what `npm run build` bundles and the example's programs. Out: archives to
 * bring into the node, named as the chart, the manifests and the samples name them.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { VERSION } from '../../../src/version.ts';
import { buildImage } from '../../cluster/images.ts';
import { projectRoot } from './shell.ts';

const run = promisify(execFile);
const node = '/usr/local/bin/node';

/** Names of the images. Ours have the names that are the chart's default, so that nothing has to be set to use them. */
export const taskImages: Readonly<Record<'controller' | 'agent' | 'httpbin' | 'sleep', string>> = {
  controller: `sallyport/controller:${VERSION}`,
  agent: `sallyport/agent:${VERSION}`,
  /** httpbin.mjs and issuer.mjs of the example; runs the former. */
  httpbin: 'sallyport/httpbin:example',
  /** curl and busybox. */
  sleep: 'sallyport/sleep:example',
};

/** Bundles the programs and builds the images. @returns paths of the archives */
export async function buildTaskImages(): Promise<readonly string[]> {
  await run(process.execPath, ['scripts/build.mjs'], { cwd: projectRoot });
  const example = (name: string): { path: string; from: string } => ({
    path: `/app/${name}`,
    from: join(projectRoot, 'examples/jwt-task', name),
  });
  const bundle = (name: string): { path: string; from: string; mode: number } => ({
    path: `/app/${name}`,
    from: join(projectRoot, 'dist', name),
    mode: 0o644,
  });
  return Promise.all([
    buildImage({
      name: taskImages.controller,
      layers: ['node'],
      files: [bundle('controller.mjs')],
      entrypoint: [node, '/app/controller.mjs'],
    }),
    buildImage({
      name: taskImages.agent,
      layers: ['node', 'iptables'],
      files: [bundle('agent.mjs')],
      entrypoint: [node, '/app/agent.mjs'],
    }),
    buildImage({
      name: taskImages.httpbin,
      layers: ['node'],
      files: [example('httpbin.mjs'), example('issuer.mjs')],
      entrypoint: [node],
      cmd: ['/app/httpbin.mjs'],
    }),
    buildImage({ name: taskImages.sleep, layers: ['busybox', 'curl'], entrypoint: ['/bin/sh', '-c', 'while :; do sleep 3600; done'] }),
  ]);
}
