/*
 * Reads AdmissionReview requests and writes responses. The object in a request stays raw JSON and is changed only by a JSON
 * Patch, so that no field is dropped.
 * @see kubernetes admission.k8s.io/v1
 */
import { isRawObject, type RawObject } from '../cluster/kube-object.ts';
import { RefusedError } from '../errors.ts';

/** The request of an AdmissionReview. */
export interface AdmissionRequest {
  readonly uid: string;
  /** `''` for cluster-scoped objects. */
  readonly namespace: string;
  /** `CREATE`, `UPDATE`, `DELETE` or `CONNECT`. */
  readonly operation: string;
  /** Whether the API server will not store the object; the response is the same. */
  readonly isDryRun: boolean;
  /** Absent on DELETE. */
  readonly object: RawObject | undefined;
  /** Groups of the user that sent the request. */
  readonly groups: readonly string[];
}

/** One step of a JSON Patch. @see RFC 6902 */
export interface PatchStep {
  readonly op: 'add' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

/** The response to an AdmissionRequest. */
export interface AdmissionResponse {
  readonly allowed: boolean;
  /** Changes to the object; absent or empty: none. */
  readonly patch?: readonly PatchStep[];
  /** Shown to the client that sent the object. */
  readonly warnings?: readonly string[];
  /** Reason of the denial, if `allowed` is false. */
  readonly message?: string;
}

/** The API server truncates longer warnings, and drops all of them if their total length is too large. */
const MAX_WARNING = 256;
const MAX_WARNINGS = 10;

/** Reads the request of an AdmissionReview. @throws RefusedError SP_KUBE_INVALID if the body is not an AdmissionReview v1 with a request */
export function parseReview(body: unknown): AdmissionRequest {
  if (!isRawObject(body) || body.kind !== 'AdmissionReview' || body.apiVersion !== 'admission.k8s.io/v1') {
    throw new RefusedError('SP_KUBE_INVALID', 'not an AdmissionReview of admission.k8s.io/v1');
  }
  const request: unknown = body['request'];
  if (!isRawObject(request) || typeof request['uid'] !== 'string' || request['uid'] === '') {
    throw new RefusedError('SP_KUBE_INVALID', 'the AdmissionReview has no request');
  }
  const { uid, namespace, operation, object, dryRun, userInfo } = request as Readonly<Record<string, unknown>>;
  const groups = isRawObject(userInfo) && Array.isArray(userInfo['groups']) ? userInfo['groups'] : [];
  return {
    uid: uid as string,
    namespace: typeof namespace === 'string' ? namespace : '',
    operation: typeof operation === 'string' ? operation : '',
    isDryRun: dryRun === true,
    object: isRawObject(object) ? object : undefined,
    groups: groups.filter((group) => typeof group === 'string'),
  };
}

/** The AdmissionReview to respond with. Contains each warning once, at most 10, each truncated to 256 characters. */
export function toReview(uid: string, response: AdmissionResponse): object {
  const { allowed, patch = [], warnings = [], message } = response;
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
