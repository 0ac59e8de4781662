/*
 * Applies an external authorizer's consent to the request. In: the working copy and the answer. Out: the copy, changed.
 * Called when judgement goes on after a check.
 */

import type { PreparedRequest } from '../http/normalize/prepared-request.ts';
import { removeHeader } from '../jwt/token-request.ts';
import { changeQuery } from './change-query.ts';
import { isChangeableRequestHeader } from './header-changes.ts';
import type { CheckAnswer } from './verdict.ts';

/** Sets, appends to and then removes headers as the authorizer asked, and changes the query. Host, pseudo headers and framing are beyond its reach. */
export function applyAnswer(prepared: PreparedRequest, answer: Extract<CheckAnswer, { readonly kind: 'allow' }>): void {
  const { setHeaders, removeHeaders, appendHeaders = NONE, setQuery = NONE, removeQuery = NONE } = answer;
  forEachChangeable(setHeaders, (name, value) => {
    removeHeader(prepared.headers, name);
    prepared.headers.push(name, value);
  });
  forEachChangeable(appendHeaders, (name, value) => appendToHeader(prepared.headers, name, value));
  for (const name of removeHeaders) {
    if (isChangeableRequestHeader(name.toLowerCase())) {
      removeHeader(prepared.headers, name.toLowerCase());
    }
  }
  prepared.target = changeQuery(prepared.target, { set: setQuery, remove: removeQuery });
}

const NONE: readonly string[] = Object.freeze([]);

function forEachChangeable(headers: readonly string[], change: (name: string, value: string) => void): void {
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase();
    if (isChangeableRequestHeader(name)) {
      change(name, headers[index + 1] ?? '');
    }
  }
}

function appendToHeader(headers: string[], name: string, value: string): void {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] === name) {
      headers[index + 1] = `${headers[index + 1] ?? ''},${value}`;
      return;
    }
  }
}
