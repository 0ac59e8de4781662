/*
 * Reads the response of an HTTP check.
 * @see Envoy source/extensions/filters/common/ext_authz/ext_authz_http_impl.cc
 */
import { TransientError } from '../../errors.ts';
import type { CheckResponse } from '../../filters/check-response.ts';
import { type HeaderChange, isChangeableResponseHeader } from '../../http/header-changes.ts';
import { headerPairs, headerValues, lowerCaseNames, selectHeaders } from '../../http/header-list.ts';
import { areValidHeaders, denyResponse, INVALID_RESPONSE } from './check-responses.ts';
import type { NameTest } from './header-patterns.ts';

/** A complete response of an ext_authz server. */
export interface HttpCheckResponse {
  readonly status: number;
  /** Flat, names as sent. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** Compiled header lists of a provider. Undefined: the provider has no such list. */
export interface ResponseLists {
  readonly toUpstream: NameTest | undefined;
  readonly toDownstreamOnAllow: NameTest | undefined;
  readonly toDownstreamOnDeny: NameTest | undefined;
}

const OK = 200;
const FIRST_SERVER_ERROR = 500;
const REMOVE_HEADER = 'x-envoy-auth-headers-to-remove';
/** Reach the client even when a list leaves them out. */
const ALWAYS_ON_DENY: ReadonlySet<string> = new Set(['www-authenticate', 'location']);

/** 200 allows, 5xx is a failure, everything else denies. @throws TransientError SP_AUTHORIZER on 5xx */
export function checkResponseOf({ status, headers, body }: HttpCheckResponse, lists: ResponseLists): CheckResponse {
  if (status >= FIRST_SERVER_ERROR) throw new TransientError('SP_AUTHORIZER', `the ext_authz server responded ${status}`);
  const named = lowerCaseNames(headers);
  if (!areValidHeaders(named)) return INVALID_RESPONSE;
  return status === OK ? allowResponse(named, lists) : denyResponse(status, body, select(named, onDeny(lists.toDownstreamOnDeny)));
}

function allowResponse(headers: readonly string[], { toUpstream, toDownstreamOnAllow }: ResponseLists): CheckResponse {
  const rest = select(headers, (name) => name !== REMOVE_HEADER);
  const removeHeaders = headerValues(headers, REMOVE_HEADER)
    .flatMap((value) => value.split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  const downstreamHeaders = changesOf(select(rest, toDownstreamOnAllow));
  const downstream = downstreamHeaders.length === 0 ? {} : { downstreamHeaders };
  return { kind: 'allow', setHeaders: select(rest, toUpstream), removeHeaders, ...downstream };
}

function onDeny(listed: NameTest | undefined): NameTest {
  return (name) => isChangeableResponseHeader(name) && (listed === undefined || listed(name) || ALWAYS_ON_DENY.has(name));
}

/** The headers whose names pass `test`; without a test none. */
function select(headers: readonly string[], test: NameTest | undefined): readonly string[] {
  return test === undefined ? [] : selectHeaders(headers, test);
}

function changesOf(headers: readonly string[]): readonly HeaderChange[] {
  return headerPairs(headers).map(([name, value]) => ({ how: 'add', name, value }));
}
