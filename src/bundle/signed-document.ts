/*
 * A JSON document that belongs to a namespace, with the statement that signs it: three files, as they are stored and mounted.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { RefusedError } from '../errors.ts';
import { digestOf } from './digest.ts';
import { acceptKeyLists, type TrustedKeys } from './key-list.ts';
import type { Signer } from './signer.ts';
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

/** Below this, a document stays readable. */
const PLAIN_LIMIT_BYTES = 64 * 1024;

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

/** Signs `json` as the document of its subject. */
export function signDocument(json: string, { schema, namespace, number }: DocumentSubject, signer: Signer): SignedFiles {
  const plain = Buffer.from(json);
  const encoding = plain.length < PLAIN_LIMIT_BYTES ? 'identity' : 'gzip';
  const part = encoding === 'identity' ? plain : gzipSync(plain, { level: 9 });
  const statement = signer.sign({
    schema,
    namespace,
    number,
    digest: digestOf(plain),
    size: plain.length,
    encoding,
    parts: [{ digest: digestOf(part), size: part.length }],
  });
  return { 'statement.jws': statement, 'keys.jws': signer.keys.lines, part };
}

/**
 * The document, if a trusted key signed exactly it for this subject. Nothing of it is decompressed before that.
 * @throws RefusedError as `verifyStatement` and `acceptKeyLists`; SP_BUNDLE_DIGEST, SP_BUNDLE_TOO_LARGE, SP_BUNDLE_UNREADABLE
 */
export function openDocument(files: SignedFiles, context: DocumentContext): VerifiedDocument {
  const { cluster, roots, known, namespace, nowMs } = context;
  const keys = acceptKeyLists(files['keys.jws'], { cluster, roots, known });
  const statement = verifyStatement(context.schema, files['statement.jws'], { cluster, namespace, keys, nowMs });
  const [part, ...others] = statement.parts;
  if (part === undefined || others.length > 0 || part.digest !== digestOf(files.part)) {
    throw new RefusedError('SP_BUNDLE_DIGEST', 'the document is not the one that the statement names');
  }
  if (statement.size > context.maxBytes) throw new RefusedError('SP_BUNDLE_TOO_LARGE', `the document has ${statement.size} bytes`);
  const plain = statement.encoding === 'identity' ? files.part : unzip(files.part, statement.size);
  if (plain.length !== statement.size || digestOf(plain) !== statement.digest) {
    throw new RefusedError('SP_BUNDLE_DIGEST', 'the document does not match its statement');
  }
  return { json: new TextDecoder('utf-8', { fatal: true }).decode(plain), statement, keys };
}

function unzip(compressed: Uint8Array, size: number): Uint8Array {
  try {
    return gunzipSync(compressed, { maxOutputLength: size });
  } catch (error) {
    throw new RefusedError('SP_BUNDLE_UNREADABLE', 'the document is not gzip, or has another size', { cause: error });
  }
}
