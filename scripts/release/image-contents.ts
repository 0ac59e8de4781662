/*
 * What is in the images, file by file; the Dockerfiles copy the same (scripts/image-root.ts). No shell and no package manager. The image of
 * the redirect shares all layers but iptables and its own file with the other two, so that a node stores them once.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fetchPackages, IPTABLES, NODE_LIBRARIES } from './debian.ts';
import type { ImageFile } from './image-file.ts';
import { fetchNode } from './node-binary.ts';
import { type Architecture, NAMES } from './platform.ts';

/** Name of an image, below the project's name in a registry. */
export type ImageName = 'controller' | 'agent' | 'redirect';

/** Content and configuration of one image. */
export interface ImageContent {
  readonly title: string;
  /** Debian packages that it has files of. */
  readonly packages: readonly string[];
  /** Files of `dist`, in `/app`. */
  readonly bundles: readonly string[];
  readonly entrypoint: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `uid:gid` */
  readonly user: string;
}

const NODE = '/usr/local/bin/node';

/** The images of a release. The flags of Node.js and the environment are explained in the Dockerfiles. */
export const IMAGES: Readonly<Record<ImageName, ImageContent>> = {
  controller: {
    title: 'sallyport-controller',
    packages: NODE_LIBRARIES,
    bundles: ['controller.mjs', 'controller-traces.mjs', 'admission-worker.mjs', 'new-access-worker.mjs', 'profiling.mjs'],
    entrypoint: [NODE, '--disable-sigusr1', '--max-semi-space-size=2', '/app/controller.mjs'],
    env: { NODE_ENV: 'production' },
    user: '65532:65532',
  },
  agent: {
    title: 'sallyport-agent',
    packages: NODE_LIBRARIES,
    bundles: ['agent.mjs', 'agent-feed.mjs', 'agent-grpc.mjs', 'agent-traces.mjs', 'profiling.mjs', 'agent-openssl.cnf'],
    entrypoint: [
      NODE,
      '--disable-sigusr1',
      '--disable-warning=ExperimentalWarning',
      '--max-semi-space-size=2',
      '--v8-pool-size=1',
      '--max-old-space-size=160',
      '--openssl-config=/app/agent-openssl.cnf',
      '/app/agent.mjs',
    ],
    env: { NODE_ENV: 'production', MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '8192', MALLOC_TOP_PAD_: '16384' },
    user: '57020:57020',
  },
  redirect: {
    title: 'sallyport-redirect',
    packages: [...NODE_LIBRARIES, ...IPTABLES],
    // The program on the node is in the same image, because it needs iptables, too; the DaemonSet names it.
    bundles: ['redirect.mjs', 'node.mjs'],
    entrypoint: [NODE, '--disable-sigusr1', '--max-semi-space-size=1', '--v8-pool-size=1', '/app/redirect.mjs'],
    env: { NODE_ENV: 'production' },
    user: '0:0',
  },
};

/** Names of all images. */
export const IMAGE_NAMES: readonly ImageName[] = ['controller', 'agent', 'redirect'];

/** Of glibc the images have what Node.js and iptables load; no locales, no conversions, no debuggers. */
const GLIBC = /^(ld-linux-.+|lib(c|m|dl|pthread|rt|resolv|nss_dns|nss_files)\.so\.\d+)$/;
const LIBRARY = /^lib.+\.so\.[\d.]+$/;

/**
 * The layers of an image, lowest first, from the pinned packages and the files of a build.
 * @param dist directory with the bundles of `npm run build`
 */
export async function layersOf(name: ImageName, architecture: Architecture, dist: string): Promise<readonly (readonly ImageFile[])[]> {
  const node = await fetchNode(architecture);
  const { packages, bundles } = IMAGES[name];
  const iptables = packages.includes('iptables') ? [await iptablesFiles(architecture)] : [];
  return [
    [...baseFiles(), ...(await packageFiles(architecture, NODE_LIBRARIES))],
    [
      { path: NODE, from: join(node, 'bin/node'), mode: 0o755 },
      { path: '/usr/local/share/doc/node/LICENSE', from: join(node, 'LICENSE'), mode: 0o644 },
    ],
    ...iptables,
    [{ path: '/app', folder: true }, ...bundles.map((file): ImageFile => ({ path: `/app/${file}`, from: join(dist, file), mode: 0o644 }))],
  ];
}

function baseFiles(): readonly ImageFile[] {
  const folders = [
    '/etc',
    '/root',
    '/tmp',
    '/usr',
    '/usr/bin',
    '/usr/sbin',
    '/usr/lib',
    '/usr/lib64',
    '/usr/local',
    '/usr/local/bin',
    '/run',
  ];
  const users = ['root:x:0:0:root:/root', 'nonroot:x:65532:65532:nonroot:/', 'sallyport-agent:x:57020:57020:sallyport-agent:/'];
  return [
    ...folders.map((path): ImageFile => ({ path, folder: true, ...(path === '/tmp' ? { mode: 0o1777 } : {}) })),
    ...['bin', 'sbin', 'lib', 'lib64'].map((name): ImageFile => ({ path: `/${name}`, linkTo: `usr/${name}` })),
    { path: '/etc/passwd', content: users.map((user) => `${user}:/sbin/nologin\n`).join('') },
    { path: '/etc/group', content: 'root:x:0:\nnonroot:x:65532:\nsallyport-agent:x:57020:\n' },
    { path: '/etc/nsswitch.conf', content: 'passwd: files\ngroup: files\nhosts: files dns\n' },
  ];
}

async function iptablesFiles(architecture: Architecture): Promise<readonly ImageFile[]> {
  const links = ['iptables', 'ip6tables'].flatMap((family) =>
    ['', '-restore'].flatMap((verb): ImageFile[] => [
      { path: `/usr/sbin/${family}${verb}`, linkTo: 'xtables-nft-multi' },
      { path: `/usr/sbin/${family}-nft${verb}`, linkTo: 'xtables-nft-multi' },
      { path: `/usr/sbin/${family}-legacy${verb}`, linkTo: 'xtables-legacy-multi' },
    ]),
  );
  return [...(await packageFiles(architecture, IPTABLES)), ...links];
}

/** Libraries, programs, copyright and package data of Debian packages. */
async function packageFiles(architecture: Architecture, names: readonly string[]): Promise<readonly ImageFile[]> {
  const found: ImageFile[] = [];
  const { triplet, loader } = NAMES[architecture];
  for (const [name, root] of await fetchPackages(architecture, names)) {
    for (const directory of [`/lib/${triplet}`, `/usr/lib/${triplet}`]) {
      const isWanted = (file: string): boolean => (name === 'libc6' ? GLIBC : LIBRARY).test(file);
      found.push(...filesIn(root, directory, isWanted));
    }
    if (name === 'libc6')
      found.push({ path: loader, linkTo: posix.relative(posix.dirname(loader), `/usr/lib/${triplet}/${posix.basename(loader)}`) });
    if (name === 'iptables') {
      found.push(
        ...filesIn(root, '/usr/sbin', (file) => file.endsWith('-multi')),
        ...filesIn(root, `/usr/lib/${triplet}/xtables`, () => true),
      );
    }
    found.push(...filesIn(root, `/usr/share/doc/${name}`, (file) => file === 'copyright'));
    // Scanners find the packages of an image without a package manager here.
    found.push({ path: `/var/lib/dpkg/status.d/${name}`, content: readFileSync(join(root, '../control')) });
  }
  return found;
}

/** Files and links of a directory of an unpacked package; none if it is not there. `/lib` is `/usr/lib` in the images. */
function filesIn(root: string, directory: string, isWanted: (file: string) => boolean): readonly ImageFile[] {
  const from = join(root, directory);
  if (!lstatSync(from, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(from)
    .filter(isWanted)
    .flatMap((file): ImageFile[] => {
      const path = posix.join(directory.startsWith('/usr/') ? '' : '/usr', directory, file);
      const entry = lstatSync(join(from, file));
      if (entry.isSymbolicLink()) return [{ path, linkTo: readlinkSync(join(from, file)) }];
      return entry.isFile() ? [{ path, from: join(from, file), mode: entry.mode & 0o755 }] : [];
    });
}
