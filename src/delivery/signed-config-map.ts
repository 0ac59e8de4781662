/*
 * A signed document in a ConfigMap.
 */
import { openDocument, type SignedFiles, signDocument } from '../bundle/signed-document.ts';
import type { Signer } from '../bundle/signer.ts';
import { keyIdOf, type StatementSchema } from '../bundle/statement.ts';
import type { RawObject, WrittenObject } from '../cluster/kube-object.ts';
import { RefusedError } from '../errors.ts';

/** A document as it is stored, and the key that signed it. */
export interface StoredDocument {
  readonly json: string;
  readonly number: number;
  readonly kid: string;
}

/** What a document must be about. */
export interface DocumentOfConfigMap {
  readonly schema: StatementSchema;
  readonly namespace: string;
  readonly signer: Signer;
  readonly maxBytes: number;
  /** Called with why a document is not accepted. */
  readonly onRefused?: (error: RefusedError) => void;
}

/** The ConfigMap of a document. */
export function signedConfigMap(
  { name, labels, json }: { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly json: string },
  subject: Parameters<typeof signDocument>[1],
  signer: Signer,
): WrittenObject {
  const { part, ...data } = signDocument(json, subject, signer);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: subject.namespace, labels },
    data,
    binaryData: { part: Buffer.from(part).toString('base64') },
  };
}

/** The files of a document in a ConfigMap, not verified. */
export function signedFilesIn(raw: RawObject): SignedFiles {
  const part = Buffer.from(textOf(raw['binaryData'], 'part'), 'base64');
  return { 'statement.jws': textOf(raw['data'], 'statement.jws'), 'keys.jws': textOf(raw['data'], 'keys.jws'), part };
}

/** The document of a ConfigMap; undefined: it is not one that these keys signed. */
export function readSignedConfigMap(raw: RawObject, context: DocumentOfConfigMap): StoredDocument | undefined {
  const { signer, onRefused, ...about } = context;
  const stored = signedFilesIn(raw);
  const statementJws = stored['statement.jws'];
  try {
    // Keys may have been replaced since: the controller trusts the list that it signs with.
    const files = { ...stored, 'keys.jws': signer.keys.lines };
    const trust = { cluster: signer.cluster, roots: [signer.keys.root], known: signer.keys, nowMs: undefined };
    const { json, statement } = openDocument(files, { ...about, ...trust });
    return { json, number: statement.number, kid: keyIdOf(statementJws) };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    onRefused?.(error);
    return undefined;
  }
}

function textOf(fields: unknown, key: string): string {
  const value = (fields as Readonly<Record<string, unknown>> | undefined)?.[key];
  return typeof value === 'string' ? value : '';
}
