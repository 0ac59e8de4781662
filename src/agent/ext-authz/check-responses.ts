/*
 * Answers that every kind of authorizer shares: failure, a body too large, an answer that cannot be used, and the checks
 * that keep an authorizer's words from becoming other header fields. In: names, values, bytes. Out: answers.
 */
import { isUtf8 } from 'node:buffer';
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import type { CheckAnswer } from '../../filters/verdict.ts';
import { isToken } from '../http1/octets.ts';
import { areSoundValues } from '../http1/write-head.ts';

type Denial = Extract<CheckAnswer, { readonly kind: 'deny' }>;

/** Consent that changes nothing. */
export const CONSENT: CheckAnswer = Object.freeze({ kind: 'allow', setHeaders: Object.freeze([]), removeHeaders: Object.freeze([]) });

/** The authorizer sent a header that is none. */
export const INVALID_ANSWER: CheckAnswer = Object.freeze({ kind: 'error', status: 500, details: 'ext_authz_invalid' });

/** The body is larger than the authorizer may be sent. */
export const BODY_TOO_LARGE: CheckAnswer = Object.freeze({
  kind: 'deny',
  status: 413,
  body: 'Payload Too Large',
  headers: Object.freeze([]),
  details: 'request_payload_too_large',
});

/** Nobody consented, whatever the provider says of failures. */
export function refusalOf(provider: ExtensionProvider | undefined): CheckAnswer {
  return { kind: 'error', status: provider?.statusOnError ?? 403 };
}

/** The authorizer could not be asked: consent if the provider says so. */
export function failureOf(provider: ExtensionProvider): CheckAnswer {
  return provider.failOpen ? CONSENT : refusalOf(provider);
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
export function denialOf(status: number, bytes: Buffer, headers: readonly string[]): Denial {
  const used = status >= LOWEST_STATUS && status <= HIGHEST_STATUS ? status : FORBIDDEN;
  if (bytes.length === 0 || NO_BODY.has(used)) {
    return { kind: 'deny', status: used, body: '', headers: headers.filter((_, index) => headers[index - (index % 2)] !== 'content-type') };
  }
  const body = bytes.toString('utf8');
  return { kind: 'deny', status: used, body, ...(isUtf8(bytes) ? {} : { octets: bytes }), headers };
}
