/*
 * The manifest with which krew installs the command line as `kubectl sallyport`.
 * @see https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
 */
import { stringify } from 'yaml';
import { executableArchive } from './executable.ts';
import type { Architecture } from './platform.ts';

/** What the manifest names. */
export interface KrewInput {
  readonly version: string;
  readonly homepage: string;
  /** URL of the directory with the archives of this version. */
  readonly downloads: string;
  /** SHA-256 of each archive. */
  readonly hashes: ReadonlyMap<Architecture, string>;
}

/** YAML of the manifest, whose file must have the name `sallyport.yaml`. */
export function krewManifest({ version, homepage, downloads, hashes }: KrewInput): string {
  return stringify({
    apiVersion: 'krew.googlecontainertools.github.com/v1alpha2',
    kind: 'Plugin',
    metadata: { name: 'sallyport' },
    spec: {
      version: `v${version}`,
      homepage,
      shortDescription: 'Check, explain, test Istio authorization policies',
      description:
        "Checks Istio's RequestAuthentication and AuthorizationPolicy, explains why a request is allowed or denied, tests policies, and compares\ntwo sets of them. Works with the Sallyport controller in a cluster, and on files without a cluster.\n",
      platforms: [...hashes].map(([architecture, sha256]) => ({
        selector: { matchLabels: { os: 'linux', arch: architecture } },
        uri: `${downloads}/${executableArchive(version, architecture)}`,
        sha256,
        bin: 'sallyport',
        files: [
          { from: 'sallyport', to: '.' },
          { from: 'LICENSE*', to: '.' },
        ],
      })),
    },
  });
}
