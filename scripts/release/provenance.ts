/*
 * The provenance of a release: an in-toto statement that names what was built from what.
 * @see https://slsa.dev/spec/v1.0/provenance
 */

/** A file or image, with its SHA-256 in hexadecimal digits. */
export interface Subject {
  readonly name: string;
  readonly sha256: string;
}

/** Something that the build read. */
export interface Material {
  readonly uri: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** What the statement says. */
export interface ProvenanceInput {
  readonly subjects: readonly Subject[];
  readonly materials: readonly Material[];
  readonly parameters: Readonly<Record<string, string>>;
  /** Home of the repository: part of the type of the build. */
  readonly repository: string;
  /** Who built it; a host of builds signs its own statement in addition. */
  readonly builder: string;
}

/** The statement as JSON text. */
export function provenanceOf({ subjects, materials, parameters, repository, builder }: ProvenanceInput): string {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjects.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: `${repository}/blob/main/scripts/release.ts`,
        externalParameters: parameters,
        internalParameters: {},
        resolvedDependencies: materials,
      },
      runDetails: { builder: { id: builder } },
    },
  };
  return `${JSON.stringify(statement, null, 2)}\n`;
}
