/*
 * The platforms of a release, under the names that each ecosystem has for them.
 */

/** Architecture of an image, as in OCI and in Debian. */
export type Architecture = 'amd64' | 'arm64';

/** All architectures of a release. */
export const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];

/** Names of one architecture elsewhere. */
export const NAMES: Readonly<Record<Architecture, { readonly node: string; readonly triplet: string; readonly loader: string }>> = {
  amd64: { node: 'x64', triplet: 'x86_64-linux-gnu', loader: '/usr/lib64/ld-linux-x86-64.so.2' },
  arm64: { node: 'arm64', triplet: 'aarch64-linux-gnu', loader: '/usr/lib/ld-linux-aarch64.so.1' },
};

/** The architecture of this machine. @throws Error when a release has no images for it */
export function hostArchitecture(): Architecture {
  const found = ARCHITECTURES.find((architecture) => NAMES[architecture].node === process.arch);
  if (found === undefined) throw new Error(`no image for the architecture ${process.arch}; known: ${ARCHITECTURES.join(', ')}`);
  return found;
}
