/*
 * Applies an external authorizer's consent to the request. In: the working copy and the answer. Out: the copy, changed.
 * Called when judgement goes on after a check.
 */
import { removeHeader } from '../jwt/token-request.ts';
import type { PreparedRequest } from '../policy/request/prepared-request.ts';
import type { CheckAnswer } from './verdict.ts';

/** Sets and then removes headers as the authorizer asked. Host and pseudo headers are beyond its reach. */
export function applyAnswer(prepared: PreparedRequest, answer: Extract<CheckAnswer, { readonly kind: 'allow' }>): void {
  const { setHeaders, removeHeaders } = answer;
  for (let index = 0; index < setHeaders.length; index += 2) {
    const name = (setHeaders[index] ?? '').toLowerCase();
    if (isOpen(name)) {
      removeHeader(prepared.headers, name);
      prepared.headers.push(name, setHeaders[index + 1] ?? '');
    }
  }
  for (const name of removeHeaders) {
    if (isOpen(name.toLowerCase())) {
      removeHeader(prepared.headers, name.toLowerCase());
    }
  }
}

function isOpen(name: string): boolean {
  return name !== '' && name !== 'host' && !name.startsWith(':');
}
