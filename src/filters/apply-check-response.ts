/*
 * Applies the changes that an ext_authz server requests to the request. Host, pseudo headers and framing stay as they are.
 */

import { isChangeableRequestHeader } from '../http/header-changes.ts';
import { appendToHeader, type HeaderList, headerPairs, NO_HEADERS, removeHeader, setHeader } from '../http/header-list.ts';
import type { PreparedRequest } from '../http/normalize/prepared-request.ts';
import { changeQuery } from './change-query.ts';
import type { CheckAllowed } from './check-response.ts';

/** Sets, appends to and then removes headers, and changes the query. */
export function applyCheckResponse(prepared: PreparedRequest, response: CheckAllowed): void {
  const { setHeaders, removeHeaders, appendHeaders = NO_HEADERS, setQuery = NO_HEADERS, removeQuery = NO_HEADERS } = response;
  forEachChangeable(setHeaders, (name, value) => setHeader(prepared.headers, name, value));
  forEachChangeable(appendHeaders, (name, value) => appendToHeader(prepared.headers, name, value));
  for (const sent of removeHeaders) {
    const name = sent.toLowerCase();
    if (isChangeableRequestHeader(name)) removeHeader(prepared.headers, name);
  }
  if (setQuery.length === 0 && removeQuery.length === 0) return;
  prepared.isRewritten = true;
  prepared.target = changeQuery(prepared.target, { set: setQuery, remove: removeQuery });
}

function forEachChangeable(headers: HeaderList, change: (name: string, value: string) => void): void {
  for (const [sent, value] of headerPairs(headers)) {
    const name = sent.toLowerCase();
    if (isChangeableRequestHeader(name)) change(name, value);
  }
}
