/*
 * AdmissionReview, the API server's question and our answer. In: the parsed body of a request. Out: what is asked, and
 * answers in the protocol's form. Nothing of the object in it is typed: it goes back as a patch, never as a copy.
 * @see kubernetes admission.k8s.io/v1
 */
import { isRawObject, type RawObject } from '../cluster/kube-object.ts';
import { RefusedError } from '../errors.ts';

export interface AdmissionRequest {
  readonly uid: string;
  /** `''` for cluster-scoped objects. */
  readonly namespace: string;
  /** `CREATE`, `UPDATE`, `DELETE` or `CONNECT`. */
  readonly operation: string;
  /** Nothing is stored; answers are the same. */
  readonly isDryRun: boolean;
  /** Absent on DELETE. */
  readonly object: RawObject | undefined;
}

/** One step of a JSON Patch. @see RFC 6902 */
export interface PatchStep {
  readonly op: 'add' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

export interface AdmissionAnswer {
  readonly allowed: boolean;
  /** Empty: the object stays as it is. */
  readonly patch?: readonly PatchStep[];
  /** Shown to whoever sent the request. */
  readonly warnings?: readonly string[];
  /** Why not, with `allowed: false`. */
  readonly message?: string;
}

/** The API server cuts a longer warning, and drops them all when they are too long together. */
const MAX_WARNING = 256;
const MAX_WARNINGS = 10;

/** @throws RefusedError SP_KUBE_INVALID when the body is no AdmissionReview v1 with a request */
export function parseReview(body: unknown): AdmissionRequest {
  if (!isRawObject(body) || body.kind !== 'AdmissionReview' || body.apiVersion !== 'admission.k8s.io/v1') {
    throw new RefusedError('SP_KUBE_INVALID', 'not an AdmissionReview of admission.k8s.io/v1');
  }
  const request: unknown = body['request'];
  if (!isRawObject(request) || typeof request['uid'] !== 'string' || request['uid'] === '') {
    throw new RefusedError('SP_KUBE_INVALID', 'the AdmissionReview has no request');
  }
  const { uid, namespace, operation, object, dryRun } = request as Readonly<Record<string, unknown>>;
  return {
    uid: uid as string,
    namespace: typeof namespace === 'string' ? namespace : '',
    operation: typeof operation === 'string' ? operation : '',
    isDryRun: dryRun === true,
    object: isRawObject(object) ? object : undefined,
  };
}

/** The body of the answer. */
export function toReview(uid: string, answer: AdmissionAnswer): object {
  const { allowed, patch = [], warnings = [], message } = answer;
  const shown = [...new Set(warnings)].slice(0, MAX_WARNINGS).map((text) => text.slice(0, MAX_WARNING));
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed,
      ...(allowed ? {} : { status: { status: 'Failure', message: message ?? 'denied', reason: 'BadRequest', code: 400 } }),
      ...(patch.length === 0 ? {} : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
      ...(shown.length === 0 ? {} : { warnings: shown }),
    },
  };
}
