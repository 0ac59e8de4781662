/*
 * A JSON document that belongs to a namespace, with the statement that signs it: three files, as they are stored and mounted.
 */
import { RefusedError } from '../errors.ts';
import { digestOf } from './digest.ts';
import { acceptKeyLists, type TrustedKeys } from './key-list.ts';
import type { Signer } from './signer.ts';
import { fromStoredForm, toStoredForm } from './slots.ts';
import { type Statement, type StatementSchema, verifyStatement } from './statement.ts';

/** Files of a signed document by name. */
export interface SignedFiles {
  /** The signed statement, a JWS. */
  readonly 'statement.jws': string;
  /** The lists of signing keys, by line. */
  readonly 'keys.jws': string;
  /** The document, compressed if the statement says so. */
  readonly part: Uint8Array;
}

/** The names of the files. */
export const SIGNED_FILE_NAMES: readonly (keyof SignedFiles)[] = ['statement.jws', 'keys.jws', 'part'];

/** What a document is about, and its number. */
export interface DocumentSubject {
  readonly schema: StatementSchema;
  readonly namespace: string;
  readonly number: number;
}

/** What a document must be about, and whom it may be signed by. */
export interface DocumentContext {
  readonly schema: StatementSchema;
  readonly cluster: string;
  readonly namespace: string;
  /** Public keys of the trusted roots. */
  readonly roots: readonly string[];
  /** The list of keys that was accepted last. */
  readonly known?: TrustedKeys | undefined;
  /** Milliseconds since the epoch; undefined: the period of validity of the key is not checked. */
  readonly nowMs: number | undefined;
  /** Largest document in bytes. */
  readonly maxBytes: number;
}

/** A verified document. */
export interface VerifiedDocument {
  readonly json: string;
  readonly statement: Statement;
  readonly keys: TrustedKeys;
}

/** Signs `json` as the document of its subject. @throws RefusedError SP_TOO_LARGE when no ConfigMap can hold it */
export function signDocument(json: string, { schema, namespace, number }: DocumentSubject, signer: Signer): SignedFiles {
  const { contents, ...stored } = toStoredForm(json, 1);
  const statement = signer.sign({ schema, namespace, number, ...stored });
  return { 'statement.jws': statement, 'keys.jws': signer.keys.lines, part: contents[0] ?? new Uint8Array() };
}

/**
 * The document, if a trusted key signed exactly it for this subject. Nothing of it is decompressed before that.
 * @throws RefusedError as `verifyStatement`, `acceptKeyLists` and `fromStoredForm`
 */
export function openDocument(files: SignedFiles, context: DocumentContext): VerifiedDocument {
  const { cluster, roots, known, namespace, nowMs } = context;
  const keys = acceptKeyLists(files['keys.jws'], { cluster, roots, known });
  const statement = verifyStatement(context.schema, files['statement.jws'], { cluster, namespace, keys, nowMs });
  if (statement.size > context.maxBytes) throw new RefusedError('SP_BUNDLE_TOO_LARGE', `the document has ${statement.size} bytes`);
  const digest = digestOf(files.part);
  const json = fromStoredForm(statement, (wanted) => (wanted === digest ? files.part : undefined));
  return { json: new TextDecoder('utf-8', { fatal: true }).decode(json), statement, keys };
}
