/*
 * Answers that every kind of authorizer shares: failure, a body too large, an answer that cannot be used, and the checks
 * that keep an authorizer's words from becoming other header fields. In: names, values, bytes. Out: answers.
 */
import { isUtf8 } from 'node:buffer';
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import { CHECK_ALLOWED, type CheckResponse, checkDenied, checkFailed } from '../../filters/check-response.ts';
import { type HeaderList, selectHeaders } from '../../http/header-list.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import { isToken } from '../http1/octets.ts';
import { areSoundValues } from '../http1/write-head.ts';

/** The authorizer sent a header that is none. */
export const INVALID_ANSWER: CheckResponse = Object.freeze(checkFailed(500, 'ext_authz_invalid'));

/** The body is larger than the authorizer may be sent. */
export const BODY_TOO_LARGE: CheckResponse = Object.freeze(checkDenied(413, 'Payload Too Large', [], 'request_payload_too_large'));

/** Nobody consented, whatever the provider says of failures. */
export function refusalOf(provider: ExtensionProvider): CheckResponse {
  return checkFailed(provider.statusOnError);
}

/** The authorizer could not be asked: consent if the provider says so. */
export function failureOf(provider: ExtensionProvider): CheckResponse {
  return provider.failOpen ? CHECK_ALLOWED : refusalOf(provider);
}

/** Are all names of `headers` (flat) tokens, and do all values fit on one line each? */
export function areSoundHeaders(headers: readonly string[]): boolean {
  return headers.every((part, index) => index % 2 === 1 || isToken(part, 0, part.length)) && areSoundValues(headers);
}

const LOWEST_STATUS = 200;
const HIGHEST_STATUS = 599;
const FORBIDDEN = 403;
const NO_BODY: ReadonlySet<number> = new Set([204, 304]);

/**
 * A denial. A status that ends no exchange becomes 403; a reply without a body has no content type.
 * @param headers flat, lower-case names
 */
export function denialOf(status: number, bytes: Buffer, headers: HeaderList): LocalReply {
  const used = status >= LOWEST_STATUS && status <= HIGHEST_STATUS ? status : FORBIDDEN;
  if (bytes.length === 0 || NO_BODY.has(used)) {
    return checkDenied(
      used,
      '',
      selectHeaders(headers, (name) => name !== 'content-type'),
    );
  }
  const denied = checkDenied(used, bytes.toString('utf8'), headers);
  return isUtf8(bytes) ? denied : { ...denied, bytes };
}
