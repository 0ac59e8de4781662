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

/** Bytes of one warning: the API server may cut a longer one. */
const MAX_WARNING = 255;
/** Lines of all warnings together: the API server ignores what is beyond 4,096 characters. */
const MAX_LINES = 15;
const CONTINUED = ' …';

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

/** The AdmissionReview to respond with. Contains each warning once, as lines of at most 255 bytes, at most 15. */
export function toReview(uid: string, response: AdmissionResponse): object {
  const { allowed, patch = [], warnings = [], message } = response;
  const shown = warningLines([...new Set(warnings)]);
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

/** Whole warnings, each as one line or several; what does not fit is counted. */
function warningLines(warnings: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (const [index, warning] of warnings.entries()) {
    // Splitting one that cannot fit takes time for each of its characters.
    const own = warning.length > MAX_LINES * MAX_WARNING ? Array<string>(MAX_LINES + 1).fill('') : splitAtWords(warning);
    const isLast = index === warnings.length - 1;
    // The last line is kept for the number of those left out.
    if (lines.length + own.length > MAX_LINES - (isLast ? 0 : 1)) {
      return [...lines, `${warnings.length - index} more; sallyport check shows all of them`];
    }
    lines.push(...own);
  }
  return lines;
}

/** Lines of at most {@link MAX_WARNING} bytes, split at spaces where possible; all but the last end in an ellipsis, all but the first begin with one. */
function splitAtWords(text: string): readonly string[] {
  if (Buffer.byteLength(text) <= MAX_WARNING) return [text];
  const available = MAX_WARNING - 2 * Buffer.byteLength(CONTINUED);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((one) => piecesOf(one, available))) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (Buffer.byteLength(longer) <= available) {
      line = longer;
      continue;
    }
    lines.push(line);
    line = word;
  }
  lines.push(line);
  return lines.map((part, index) => `${index === 0 ? '' : '… '}${part}${index === lines.length - 1 ? '' : CONTINUED}`);
}

/** A word that is longer than a line, in pieces. */
function piecesOf(word: string, bytes: number): readonly string[] {
  if (Buffer.byteLength(word) <= bytes) return [word];
  const pieces: string[] = [];
  let piece = '';
  for (const character of word) {
    if (Buffer.byteLength(piece) + Buffer.byteLength(character) > bytes) {
      pieces.push(piece);
      piece = '';
    }
    piece += character;
  }
  return [...pieces, piece];
}
