/*
 * OpenVEX documents: vulnerabilities that scanners report for the images, and that do not affect them.
 * @see https://github.com/openvex/spec
 */

/** A vulnerability that was analysed. */
export interface Analysis {
  readonly vulnerability: string;
  /** Debian package in which scanners find it. */
  readonly packageName: string;
  readonly justification: 'vulnerable_code_not_in_execute_path' | 'vulnerable_code_not_present';
  readonly notes: string;
  /** Functions of the C library through which the vulnerable code is reached; a test checks that no program of the images links to them. */
  readonly functions: readonly string[];
}

/** All analyses; each holds for every image. */
export const ANALYSES: readonly Analysis[] = [
  {
    vulnerability: 'CVE-2010-4756',
    packageName: 'libc6',
    justification: 'vulnerable_code_not_in_execute_path',
    notes: 'The vulnerable function is glob, to which no program of the image links.',
    functions: ['glob', 'glob64'],
  },
  {
    vulnerability: 'CVE-2018-20796',
    packageName: 'libc6',
    justification: 'vulnerable_code_not_in_execute_path',
    notes: 'The vulnerable code compiles regular expressions of POSIX (regcomp), to which no program of the image links.',
    functions: ['regcomp', 're_compile_pattern'],
  },
  {
    vulnerability: 'CVE-2019-9192',
    packageName: 'libc6',
    justification: 'vulnerable_code_not_in_execute_path',
    notes: 'The vulnerable code compiles regular expressions of POSIX (regcomp), to which no program of the image links.',
    functions: ['regcomp', 're_compile_pattern'],
  },
];

/** What a document is about. */
export interface VexInput {
  /** IRI of the document. */
  readonly id: string;
  /** Package URL of the image. */
  readonly product: string;
  readonly author: string;
  /** Seconds since 1970. */
  readonly created: number;
  /** Package URL of each Debian package, by name. */
  readonly packages: ReadonlyMap<string, string>;
}

/** A document as JSON text. @throws Error when a package of an analysis is not in the image */
export function vexOf({ id, product, author, created, packages }: VexInput): string {
  const document = {
    '@context': 'https://openvex.dev/ns/v0.2.0',
    '@id': id,
    author,
    timestamp: new Date(created * 1000).toISOString(),
    version: 1,
    statements: ANALYSES.map(({ vulnerability, packageName, justification, notes }) => {
      const subcomponent = packages.get(packageName);
      if (subcomponent === undefined) throw new Error(`${vulnerability}: the image has no package ${packageName}`);
      return {
        vulnerability: { name: vulnerability },
        products: [{ '@id': product, subcomponents: [{ '@id': subcomponent }] }],
        status: 'not_affected',
        status_notes: notes,
        justification,
      };
    }),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
