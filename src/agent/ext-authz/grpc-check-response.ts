/*
 * Reads the CheckResponse message of a gRPC check.
 * @see Envoy source/extensions/filters/common/ext_authz/ext_authz_grpc_impl.cc
 */

import { CHECK_ALLOWED, type CheckResponse } from '../../filters/check-response.ts';
import { type HeaderChange, isChangeableResponseHeader } from '../../http/header-changes.ts';
import { selectHeaders } from '../../http/header-list.ts';
import { areValidHeaders, denyResponse, INVALID_RESPONSE } from './check-responses.ts';

/** A HeaderValueOption. `append` absent is not the same as false: in `response_headers_to_add` the action counts then. */
interface HeaderOption {
  readonly header?: { readonly key?: string; readonly value?: string; readonly raw_value?: Uint8Array };
  readonly append?: { readonly value?: boolean };
  readonly append_action?: number;
}

/** An OkHttpResponse. */
interface OkResponse {
  readonly headers?: readonly HeaderOption[];
  readonly headers_to_remove?: readonly string[];
  readonly response_headers_to_add?: readonly HeaderOption[];
  readonly query_parameters_to_set?: readonly { readonly key?: string; readonly value?: string }[];
  readonly query_parameters_to_remove?: readonly string[];
}

/** `envoy.service.auth.v3.CheckResponse`, fields absent where the sender left them out. */
export interface CheckResponseMessage {
  readonly status?: { readonly code?: number };
  readonly denied_response?: {
    readonly status?: { readonly code?: number };
    readonly headers?: readonly HeaderOption[];
    readonly body?: string;
  };
  readonly ok_response?: OkResponse;
}

const FORBIDDEN = 403;
/** Characters of a query parameter that neither end the request line nor the query. */
const VALID_QUERY = /^[\x21\x22\x24-\x7e\x80-\xff]*$/;

/** Status code 0 (OK, also the meaning of an absent status) allows, any other denies. */
export function checkResponseOf({ status, denied_response: denied, ok_response: ok }: CheckResponseMessage): CheckResponse {
  if ((status?.code ?? 0) === 0) return ok === undefined ? CHECK_ALLOWED : allowResponse(ok);
  const headers = (denied?.headers ?? []).flatMap((option) => [nameOf(option), valueOf(option)]);
  const used = selectHeaders(headers, isChangeableResponseHeader);
  const code = denied?.status?.code ?? 0;
  return areValidHeaders(used) ? denyResponse(code === 0 ? FORBIDDEN : code, Buffer.from(denied?.body ?? ''), used) : INVALID_RESPONSE;
}

function allowResponse(ok: OkResponse): CheckResponse {
  const options = ok.headers ?? [];
  const flat = (appends: boolean): readonly string[] =>
    options.filter((option) => (option.append?.value ?? false) === appends).flatMap((option) => [nameOf(option), valueOf(option)]);
  const setHeaders = withoutPseudo(flat(false));
  const appendHeaders = withoutPseudo(flat(true));
  const downstreamHeaders = changesOf(ok.response_headers_to_add ?? []);
  const setQuery = (ok.query_parameters_to_set ?? []).flatMap(({ key = '', value = '' }) => [byteStringOf(key), byteStringOf(value)]);
  const removeQuery = (ok.query_parameters_to_remove ?? []).map(byteStringOf);
  const isValid =
    [setHeaders, appendHeaders, downstreamHeaders.flatMap(({ name, value }) => [name, value])].every(areValidHeaders) &&
    setQuery.every((part) => VALID_QUERY.test(part));
  if (!isValid) return INVALID_RESPONSE;
  const removeHeaders = (ok.headers_to_remove ?? []).map((name) => name.toLowerCase());
  return { kind: 'allow', setHeaders, removeHeaders, appendHeaders, setQuery, removeQuery, downstreamHeaders };
}

/** Numbers of HeaderAppendAction. */
const HOW: readonly HeaderChange['how'][] = ['add', 'add-if-absent', 'set', 'set-if-present'];
/** Envoy applies the changes of a response kind by kind. */
const ORDER: readonly HeaderChange['how'][] = ['add', 'set', 'add-if-absent', 'set-if-present'];

function changesOf(options: readonly HeaderOption[]): readonly HeaderChange[] {
  const changes = options
    .map((option) => ({ how: howOf(option), name: nameOf(option), value: valueOf(option) }))
    .filter(({ name }) => isChangeableResponseHeader(name));
  return ORDER.flatMap((how) => changes.filter((change) => change.how === how));
}

function howOf({ append, append_action: action = 0 }: HeaderOption): HeaderChange['how'] {
  if (append !== undefined) return append.value === true ? 'add' : 'set';
  return HOW[action] ?? 'set';
}

function withoutPseudo(headers: readonly string[]): readonly string[] {
  return selectHeaders(headers, (name) => !name.startsWith(':'));
}

function nameOf({ header }: HeaderOption): string {
  return (header?.key ?? '').toLowerCase();
}

function valueOf({ header }: HeaderOption): string {
  const { value = '', raw_value: raw } = header ?? {};
  return value === '' && raw !== undefined ? Buffer.from(raw).toString('latin1') : byteStringOf(value);
}

/** The UTF-8 bytes of `text`, one character each, as heads are written. */
function byteStringOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
