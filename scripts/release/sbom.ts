/*
 * Software bills of materials in CycloneDX: the Debian packages, Node.js and the npm packages that are in an image or executable.
 * @see https://cyclonedx.org/docs/1.6/json/
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import type { DebianPackage } from './debian.ts';
import type { PinnedNode } from './node-binary.ts';
import type { Architecture } from './platform.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Version of the Debian release in package URLs. */
const DISTRO = 'debian-12';

/** One part of a bill. */
export interface Component {
  readonly type: 'library' | 'application' | 'operating-system';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly cpe?: string;
  readonly licenses?: readonly { readonly expression: string }[];
  readonly hashes?: readonly { readonly alg: 'SHA-256' | 'SHA-512'; readonly content: string }[];
}

/** What a bill describes. */
export interface Described {
  readonly type: 'container' | 'application';
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

/** A bill as JSON text. @param created seconds since 1970 */
export function billOf(described: Described, components: readonly Component[], created: number): string {
  const sorted = components.toSorted((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  const digest = createHash('sha256')
    .update(JSON.stringify([described, sorted]))
    .digest('hex');
  const bill = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    // A UUID of version 8 from the content, so that two builds have the same one.
    serialNumber: `urn:uuid:${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`,
    version: 1,
    metadata: { timestamp: new Date(created * 1000).toISOString(), component: { ...described, 'bom-ref': described.purl } },
    components: sorted,
    dependencies: [{ ref: described.purl, dependsOn: sorted.map((component) => component['bom-ref']) }],
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

/** The Debian release, whose name scanners need to find the advisories of its packages, and the packages. */
export function debianComponents(packages: readonly DebianPackage[], architecture: Architecture): readonly Component[] {
  return [
    { type: 'operating-system', 'bom-ref': 'debian', name: 'debian', version: '12' },
    ...packages.map(({ name, version, source, sha256 }): Component => {
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=${DISTRO}&upstream=${encodeURIComponent(source)}`;
      return { type: 'library', 'bom-ref': purl, name, version, purl, hashes: [{ alg: 'SHA-256', content: sha256 }] };
    }),
  ];
}

/** Node.js itself. */
export function nodeComponent({ version, integrity }: PinnedNode): Component {
  const purl = `pkg:generic/node@${version}`;
  return {
    type: 'application',
    'bom-ref': purl,
    name: 'node',
    version,
    purl,
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
    licenses: [{ expression: 'MIT' }],
    hashes: [sha512Of(integrity)],
  };
}

/** The npm packages of which a bundle contains code. */
export function npmComponents(metafiles: readonly Metafile[]): readonly Component[] {
  const inputs = metafiles.flatMap(({ outputs }) => Object.values(outputs)).flatMap((output) => Object.entries(output.inputs));
  const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
  const directories = new Set(
    used.map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter((path) => path !== undefined),
  );
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string; readonly license?: string }>>;
  };
  const components = [...directories].map((directory): Component => {
    const { version, integrity, license } = packages[directory] ?? {};
    if (version === undefined || integrity === undefined) throw new Error(`package-lock.json has no ${directory}`);
    const name = directory.slice(directory.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    const licenses = license === undefined ? {} : { licenses: [{ expression: license }] };
    return { type: 'library', 'bom-ref': purl, name, version, purl, ...licenses, hashes: [sha512Of(integrity)] };
  });
  // A package may be installed at several places in the same version.
  return [...new Map(components.map((component) => [component['bom-ref'], component])).values()];
}

function sha512Of(integrity: string): { readonly alg: 'SHA-512'; readonly content: string } {
  return { alg: 'SHA-512', content: Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex') };
}
