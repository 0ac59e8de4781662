/*
 * The Debian packages whose files are in the images, pinned by hash in debian-packages.json. apt-get fetches them, with a separate state,
 * so that it neither needs root nor touches the packages of the machine, and reads packages of other architectures.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheRoot } from './cache.ts';
import { sha256Of } from './hash.ts';
import { ARCHITECTURES, type Architecture } from './platform.ts';
import { run } from './run.ts';

/** One pinned package. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Source package, whose name vulnerability databases use. */
  readonly source: string;
  readonly sha256: string;
}

interface Pins {
  readonly distribution: string;
  readonly packages: Readonly<Record<Architecture, readonly DebianPackage[]>>;
}

/** Codename of the Debian release that the packages are from. */
export const DISTRIBUTION = 'bookworm';
const PINS = new URL('./debian-packages.json', import.meta.url);
/** Packages of every image: what Node.js links to. */
export const NODE_LIBRARIES: readonly string[] = ['gcc-12-base', 'libatomic1', 'libc6', 'libgcc-s1', 'libstdc++6'];
/** Packages of the redirect's image in addition. */
export const IPTABLES: readonly string[] = [
  'iptables',
  'libip4tc2',
  'libip6tc2',
  'libmnl0',
  'libnetfilter-conntrack3',
  'libnfnetlink0',
  'libnftnl11',
  'libxtables12',
];

/** The pinned packages of an architecture, in the order of their names. */
export function pinnedPackages(architecture: Architecture): readonly DebianPackage[] {
  return (JSON.parse(readFileSync(PINS, 'utf8')) as Pins).packages[architecture];
}

/**
 * Fetches pinned packages and unpacks them, unless they are in the cache.
 * @returns by name, the directory with the package's files; `control` next to it is the package's control file
 * @throws Error when apt-get does not offer the pinned version, or a package has another hash
 */
export async function fetchPackages(architecture: Architecture, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const wanted = pinnedPackages(architecture).filter(({ name }) => names.includes(name));
  if (wanted.length !== names.length) throw new Error(`debian-packages.json does not pin all of ${names.join(', ')}`);
  const missing = wanted.filter((pinned) => !existsSync(directoryOf(pinned)));
  if (missing.length > 0) await withApt(architecture, (apt, directory) => download(apt, directory, missing));
  return new Map(wanted.map((pinned) => [pinned.name, join(directoryOf(pinned), 'files')]));
}

/** Pins the newest versions of all packages that apt-get offers, for every architecture. */
export async function pinNewest(): Promise<void> {
  const packages: Partial<Record<Architecture, readonly DebianPackage[]>> = {};
  for (const architecture of ARCHITECTURES) {
    packages[architecture] = await withApt(architecture, async (_apt, directory) => {
      const pins: DebianPackage[] = [];
      for (const name of [...NODE_LIBRARIES, ...IPTABLES].toSorted()) {
        const record = await run('apt-cache', [...optionsOf(architecture, directory), '--no-all-versions', 'show', name]);
        const version = field(record, 'Version');
        const source = field(record, 'Source', name).split(' ')[0] ?? name;
        pins.push({ name, version, source, sha256: field(record, 'SHA256') });
      }
      return pins;
    });
  }
  await writeFile(PINS, `${JSON.stringify({ distribution: DISTRIBUTION, packages }, null, 2)}\n`);
}

function field(record: string, name: string, absent?: string): string {
  const found = new RegExp(`^${name}: (.*)$`, 'm').exec(record)?.[1] ?? absent;
  if (found === undefined) throw new Error(`apt-cache reports no ${name}`);
  return found;
}

function directoryOf({ name, sha256 }: DebianPackage): string {
  return join(cacheRoot(), 'debian', `${name}-${sha256.slice(0, 32)}`);
}

type Apt = (...args: readonly string[]) => Promise<string>;

function optionsOf(architecture: Architecture, directory: string): readonly string[] {
  const settings = {
    'Dir::State': directory,
    'Dir::State::lists': join(directory, 'lists'),
    'Dir::State::status': join(directory, 'status'),
    'Dir::Cache': join(directory, 'cache'),
    'APT::Architecture': architecture,
    'APT::Architectures::': architecture,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Debug::NoLocking': '1',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Runs `work` with an apt-get that knows the package lists of the machine's sources for another architecture. */
async function withApt<T>(architecture: Architecture, work: (apt: Apt, directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-apt-'));
  try {
    await mkdir(join(directory, 'lists/partial'), { recursive: true });
    await mkdir(join(directory, 'cache/archives/partial'), { recursive: true });
    await writeFile(join(directory, 'status'), '');
    const apt: Apt = (...args) => run('apt-get', [...optionsOf(architecture, directory), '-qq', ...args], directory);
    await apt('update');
    return await work(apt, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function download(apt: Apt, directory: string, packages: readonly DebianPackage[]): Promise<void> {
  try {
    await apt('download', ...packages.map(({ name, version }) => `${name}=${version}`));
  } catch (error) {
    const remedy = `the sources of apt must be those of Debian ${DISTRIBUTION}; npm run release -- --update-base pins the versions that they have now`;
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${remedy}`, { cause: error });
  }
  const archives = (await readdir(directory)).filter((name) => name.endsWith('.deb'));
  const byHash = new Map<string, string>();
  for (const name of archives) {
    const path = join(directory, name);
    byHash.set(await sha256Of(path), path);
  }
  for (const pinned of packages) {
    const path = byHash.get(pinned.sha256);
    if (path === undefined) throw new Error(`${pinned.name}=${pinned.version}: its hash is not ${pinned.sha256} of debian-packages.json`);
    await unpack(path, directoryOf(pinned));
  }
}

async function unpack(archive: string, goal: string): Promise<void> {
  await mkdir(join(goal, '..'), { recursive: true });
  const work = await mkdtemp(`${goal}.unpacking-`);
  try {
    await run('dpkg-deb', ['--extract', archive, join(work, 'files')]);
    await writeFile(join(work, 'control'), await run('dpkg-deb', ['--field', archive]));
    await rm(goal, { recursive: true, force: true });
    await rename(work, goal);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
