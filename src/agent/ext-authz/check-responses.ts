/*
 * Check responses that both transports share, and the validation that keeps a server from adding header fields through a value.
 */
import { isUtf8 } from 'node:buffer';
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import { CHECK_ALLOWED, type CheckResponse, checkDenied, checkFailed } from '../../filters/check-response.ts';
import { areValidValues, isToken } from '../../http/field-syntax.ts';
import { type HeaderList, selectHeaders } from '../../http/header-list.ts';
import type { LocalReply } from '../../http/local-reply.ts';

/** The server sent an invalid header. */
export const INVALID_RESPONSE: CheckResponse = Object.freeze(checkFailed(500, 'ext_authz_invalid'));

/** The body is larger than the provider accepts. */
export const BODY_TOO_LARGE: CheckResponse = Object.freeze(checkDenied(413, 'Payload Too Large', [], 'request_payload_too_large'));

/** Denies with the provider's error status, even if the provider fails open. */
export function errorResponse(provider: ExtensionProvider): CheckResponse {
  return checkFailed(provider.statusOnError);
}

/** The server could not be reached: allows if the provider fails open. */
export function failureResponse(provider: ExtensionProvider): CheckResponse {
  return provider.failOpen ? CHECK_ALLOWED : errorResponse(provider);
}

/** Is every name of `headers` a token, and every value a single line? */
export function areValidHeaders(headers: HeaderList): boolean {
  return headers.every((part, index) => index % 2 === 1 || isToken(part, 0, part.length)) && areValidValues(headers);
}

const LOWEST_STATUS = 200;
const HIGHEST_STATUS = 599;
const FORBIDDEN = 403;
const NO_BODY: ReadonlySet<number> = new Set([204, 304]);

/**
 * A denial. A status that cannot end an exchange becomes 403; without a body there is no content type.
 * @param headers lower-case names
 */
export function denyResponse(status: number, bytes: Buffer, headers: HeaderList): LocalReply {
  const used = status >= LOWEST_STATUS && status <= HIGHEST_STATUS ? status : FORBIDDEN;
  if (bytes.length === 0 || NO_BODY.has(used)) {
    const kept = selectHeaders(headers, (name) => name !== 'content-type');
    return checkDenied(used, '', kept);
  }
  const denied = checkDenied(used, bytes.toString('utf8'), headers);
  return isUtf8(bytes) ? denied : { ...denied, bytes };
}
