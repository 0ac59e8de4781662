/*
 * Signed statements: which bytes are the bundle of a workload, the index of a namespace or its last valid policies. The digest covers
 * the exact bytes, so that nothing of them is parsed before the signature is verified.
 */
import * as z from 'zod/mini';
import { RefusedError } from '../errors.ts';
import { type PrivateKey, parseJws, requireSignature, signJws } from './jws.ts';
import type { TrustedKeys } from './key-list.ts';

/** What a statement is about. A statement of one schema never passes as one of another. */
export type StatementSchema = 'sallyport.dev/bundle/v2' | 'sallyport.dev/index/v1' | 'sallyport.dev/last-valid/v1';
/** Statement about the bundle of a workload. */
export const BUNDLE_STATEMENT = 'sallyport.dev/bundle/v2';
/** Statement about the selectors of a namespace. */
export const INDEX_STATEMENT = 'sallyport.dev/index/v1';
/** Statement about the last valid version of the policies of a namespace. */
export const LAST_VALID_STATEMENT = 'sallyport.dev/last-valid/v1';

/** A piece of the stored form. */
export interface PartRef {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** The payload of a signature. */
export interface Statement {
  readonly schema: StatementSchema;
  /** UID of the cluster; `local` for `sallyport run`. */
  readonly cluster: string;
  readonly namespace: string;
  /** Absent for what belongs to a namespace. */
  readonly workload?: { readonly kind: string; readonly name: string };
  /** Higher than that of every earlier statement about the same; about the milliseconds since the epoch. */
  readonly number: number;
  /** `sha256:…` of the exact JSON. */
  readonly digest: string;
  /** Bytes of the JSON. */
  readonly size: number;
  /** Form of the concatenated parts. */
  readonly encoding: 'identity' | 'gzip';
  readonly parts: readonly PartRef[];
}

/** What a statement must be about, and the keys that may have signed it. */
export interface StatementContext {
  readonly cluster: string;
  readonly namespace: string;
  /** Absent: the statement must name no workload. */
  readonly workload?: { readonly kind: string; readonly name: string } | undefined;
  readonly keys: TrustedKeys;
  /** Milliseconds since the epoch; undefined: the period of validity of the key is not checked, because it was before. */
  readonly nowMs: number | undefined;
}

/** Most parts of one bundle: more would not leave a spare slot. */
export const MAX_PARTS = 2;
const digest = z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/));
const count = z.int().check(z.minimum(0));
const statementSchema: z.ZodMiniType<Statement> = z.strictObject({
  schema: z.enum([BUNDLE_STATEMENT, INDEX_STATEMENT, LAST_VALID_STATEMENT]),
  cluster: z.string(),
  namespace: z.string(),
  workload: z.optional(z.strictObject({ kind: z.string(), name: z.string() })),
  number: z.int().check(z.minimum(1)),
  digest,
  size: count,
  encoding: z.enum(['identity', 'gzip']),
  parts: z.array(z.strictObject({ digest, size: count })).check(z.minLength(1), z.maxLength(MAX_PARTS)),
}) as z.ZodMiniType<Statement>;

/** The statement as a JWS. */
export function signStatement(statement: Statement, key: PrivateKey): string {
  return signJws('sallyport-statement', statement, key);
}

/**
 * The statement of a JWS, if a trusted key signed it and it is about what the context says.
 *
 * @throws RefusedError SP_BUNDLE_UNSIGNED: not a JWS of the exact form; SP_BUNDLE_SIGNATURE: wrong, or of an unknown key;
 * SP_BUNDLE_KEY_EXPIRED; SP_BUNDLE_SCHEMA; SP_BUNDLE_FOREIGN: of another cluster, namespace, workload or schema
 */
export function verifyStatement(schema: StatementSchema, jws: string, context: StatementContext): Statement {
  const parsed = parseJws('sallyport-statement', jws);
  if (parsed === undefined) throw new RefusedError('SP_BUNDLE_UNSIGNED', 'the statement is not a JWS of the form that Sallyport writes');
  const listed = context.keys.keys.get(parsed.kid);
  if (listed === undefined) throw new RefusedError('SP_BUNDLE_SIGNATURE', `the statement is signed by the unknown key ${parsed.kid}`);
  requireSignature(parsed, listed.key, 'the statement');
  const { nowMs } = context;
  if (nowMs !== undefined && (nowMs < listed.notBefore || nowMs > listed.notAfter)) {
    const period = `${new Date(listed.notBefore).toISOString()} to ${new Date(listed.notAfter).toISOString()}`;
    throw new RefusedError('SP_BUNDLE_KEY_EXPIRED', `the key ${parsed.kid} is valid from ${period}`);
  }
  const result = statementSchema.safeParse(parsed.payload);
  if (!result.success) throw new RefusedError('SP_BUNDLE_SCHEMA', 'the statement has an unknown form');
  requireSubject(schema, result.data, context);
  return result.data;
}

/** ID of the key that a statement names as its signer; `''`: it is not a statement. Says nothing about the signature. */
export function keyIdOf(jws: string): string {
  return parseJws('sallyport-statement', jws)?.kid ?? '';
}

/** What a statement says, without a look at the signature: for people and reports. Undefined: it is not a statement. */
export function peekStatement(jws: string): Statement | undefined {
  const result = statementSchema.safeParse(parseJws('sallyport-statement', jws)?.payload);
  return result.success ? result.data : undefined;
}

function requireSubject(schema: StatementSchema, statement: Statement, context: StatementContext): void {
  const found = describeSubject(statement.schema, statement);
  const wanted = describeSubject(schema, context);
  if (found !== wanted) throw new RefusedError('SP_BUNDLE_FOREIGN', `the statement is about ${found}, not about ${wanted}`);
}

function describeSubject(
  schema: string,
  { cluster, namespace, workload }: Pick<StatementContext, 'cluster' | 'namespace' | 'workload'>,
): string {
  return JSON.stringify([schema, cluster, namespace, ...(workload === undefined ? [] : [workload.kind, workload.name])]);
}
