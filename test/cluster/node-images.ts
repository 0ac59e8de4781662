/*
 * The images that a node itself needs: the pause image and cluster DNS.
 */
import { binaryPath, buildFrom } from './build.ts';
import { buildImage } from './images.ts';
import { pauseImage } from './node-config.ts';

/** Builds the node's images unless they are already built. @returns paths of their tars */
export async function buildNodeImages(signal?: AbortSignal): Promise<readonly string[]> {
  const pause = await buildFrom('pause', new URL('./pause/main.go', import.meta.url), signal);
  return [
    await buildImage({ name: pauseImage, layers: [], files: [{ path: '/pause', from: pause }], entrypoint: ['/pause'] }),
    await buildImage({
      name: 'sallyport-test/coredns:test',
      layers: [],
      files: [{ path: '/coredns', from: binaryPath('coredns') }],
      entrypoint: ['/coredns'],
      user: '0:0',
    }),
  ];
}
