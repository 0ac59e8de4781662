/*
 * Signing keys and signed files for tests.
 */
import { SLOT_KEYS_KEY, SLOT_PART_KEY, SLOT_STATEMENT_KEY } from '../../src/api/kube/names.ts';
import type { EncodedBundle } from '../../src/bundle/bundle.ts';
import type { Signer } from '../../src/bundle/signer.ts';
import { toStoredForm } from '../../src/bundle/slots.ts';
import { BUNDLE_STATEMENT, type Statement } from '../../src/bundle/statement.ts';
import { mintKeys, type SigningKeys, signerOf } from '../../src/keys/signing-keys.ts';

/** UID of the cluster of the tests. */
export const CLUSTER = 'cluster-1';
/** Keys that are made once for a test run. */
export const KEYS: SigningKeys = mintKeys(CLUSTER, Date.now());
/** Signs with them. */
export const SIGNER: Signer = signerOf(KEYS);

/** The files of slots for a bundle, by name below the directory of the bundle. */
export function signedFiles(
  { workload, json }: EncodedBundle,
  options: {
    readonly number?: number;
    readonly signer?: Signer;
    readonly slot?: number;
    readonly over?: Partial<Statement>;
    readonly partLimit?: number;
  } = {},
): Record<string, string | Buffer> {
  const { number = Date.now(), signer = SIGNER, slot = 0, over = {}, partLimit } = options;
  const { contents, ...stored } = toStoredForm(json, 2, partLimit);
  const { namespace, kind, name } = workload;
  const jws = signer.sign({ schema: BUNDLE_STATEMENT, namespace, workload: { kind, name }, number, ...stored, ...over });
  return Object.fromEntries(
    contents.flatMap((content, at) => [
      [`${slot + at}/${SLOT_STATEMENT_KEY}`, jws],
      [`${slot + at}/${SLOT_KEYS_KEY}`, signer.keys.lines],
      [`${slot + at}/${SLOT_PART_KEY}`, content],
    ]),
  );
}
