/*
 * The files of ready-made image layers: programs of this machine with the libraries that they load. A Dockerfile would use a
 * base image instead.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { ImageFile } from '../../scripts/release/image-file.ts';

/**
 * Ready-made layers: `node` is Node and its libraries at `/usr/local/bin/node`; `curl` is curl; `busybox` is a static busybox
 * and a link for each of its programs, sh among them; `iptables` is both kinds of iptables with their modules, plain names meaning nft.
 */
export type LayerName = 'node' | 'curl' | 'busybox' | 'iptables';

/** User and group that images run as by default; they have this number in design and manifests too. */
export const imageUser = 65_532;

/** The common base of all images: the usual directories, users, name lookup order, public certificate authorities. */
export function baseFiles(): readonly ImageFile[] {
  const folders = ['/etc/ssl/certs', '/root', '/tmp', '/usr/bin', '/usr/sbin', '/usr/lib', '/usr/lib64', '/usr/local/bin', '/var/run'];
  const users = [`root:x:0:0:root:/root:/bin/sh`, `nonroot:x:${imageUser}:${imageUser}:nonroot:/tmp:/bin/sh`];
  return [
    ...folders.map((path): ImageFile => ({ path, folder: true, ...(path === '/tmp' ? { mode: 0o1777 } : {}) })),
    ...['bin', 'sbin', 'lib', 'lib64'].map((name): ImageFile => ({ path: `/${name}`, linkTo: `usr/${name}` })),
    { path: '/etc/passwd', content: `${users.join('\n')}\n` },
    { path: '/etc/group', content: `root:x:0:\nnonroot:x:${imageUser}:\n` },
    { path: '/etc/nsswitch.conf', content: 'passwd: files\ngroup: files\nhosts: files dns\n' },
    { path: '/etc/ssl/certs/ca-certificates.crt', content: `${rootCertificates.join('\n')}\n` },
  ];
}

/** Files of a ready-made layer, from the programs of this machine. */
export const layerFiles: Readonly<Record<LayerName, () => readonly ImageFile[]>> = {
  node: () => withLibraries({ path: '/usr/local/bin/node', from: nodeBinary() }),
  curl: () => withLibraries({ path: '/usr/bin/curl', from: '/usr/bin/curl' }),
  busybox: busyboxFiles,
  iptables: iptablesFiles,
};

/** The Node.js that this project pins, which may differ from the one that runs this. */
function nodeBinary(): string {
  const pinned = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));
  return existsSync(pinned) ? realpathSync(pinned) : process.execPath;
}

function busyboxFiles(): readonly ImageFile[] {
  const applets = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n').sort();
  const links = applets.filter((name) => name !== 'busybox').map((name): ImageFile => ({ path: `/usr/bin/${name}`, linkTo: 'busybox' }));
  return [{ path: '/usr/bin/busybox', from: '/bin/busybox' }, ...links];
}

function iptablesFiles(): readonly ImageFile[] {
  const programs = ['/usr/sbin/xtables-nft-multi', '/usr/sbin/xtables-legacy-multi'];
  const main = withLibraries(...programs.map((path): LocalFile => ({ path, from: path })));
  const libraryDir = dirname(main.find((file) => file.path.includes('/libc.so'))?.path ?? '');
  const moduleDir = join(libraryDir, 'xtables');
  const modules = readdirSync(moduleDir)
    .sort()
    .map((name): LocalFile => ({ path: join(moduleDir, name), from: join(moduleDir, name) }));
  const links = ['iptables', 'ip6tables'].flatMap((family) =>
    ['', '-save', '-restore'].flatMap((verb): ImageFile[] => [
      { path: `/usr/sbin/${family}${verb}`, linkTo: 'xtables-nft-multi' },
      { path: `/usr/sbin/${family}-nft${verb}`, linkTo: 'xtables-nft-multi' },
      { path: `/usr/sbin/${family}-legacy${verb}`, linkTo: 'xtables-legacy-multi' },
    ]),
  );
  return [...unique([...main, ...withLibraries(...modules)]), ...links];
}

type LocalFile = ImageFile & { readonly from: string };

function withLibraries(...files: readonly LocalFile[]): readonly ImageFile[] {
  return unique([...files, ...librariesOf(files.map((file) => file.from))]);
}

/** Shared libraries and the loader that programs need, under the names by which they are loaded. */
function librariesOf(programs: readonly string[]): readonly LocalFile[] {
  const listing = execFileSync('ldd', [...programs], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const paths = listing.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x/gm);
  return [...paths].map(([, path = '']) => ({ path: underUsr(path), from: realpathSync(path) }));
}

/** `/lib/x` and `/usr/lib/x` are the same file here and in the images. */
function underUsr(path: string): string {
  return join(path.startsWith('/usr/') ? '' : '/usr', dirname(path), basename(path));
}

function unique(files: readonly ImageFile[]): readonly ImageFile[] {
  return [...new Map(files.map((file) => [file.path, file])).values()];
}
