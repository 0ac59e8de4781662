/*
 * Cuts tokens, credentials and cookies out of text of a request, so that an explanation may be pasted into a ticket.
 */
import { clauseHeader } from './clause-header.ts';

/** A JSON object in base64url, with or without further parts: the start of any compact JWS or JWE. */
const TOKEN_PATTERN = /\beyJ[\w-]{6,}(?:\.[\w-]*)*/g;
/** What follows the scheme; a token keeps the start that {@link TOKEN_PATTERN} left. */
const CREDENTIALS = /\b(Basic|Bearer|Digest|Negotiate)(\s+)(eyJ|\S+)/gi;
const TOKEN_START = 'eyj';
const PARAMETER = /[?&](\w+)=/g;
const VALUE = /[^&\s]*/y;
const SECRET_PARAMETERS: ReadonlySet<string> = new Set([
  'access_token',
  'id_token',
  'refresh_token',
  'token',
  'code',
  'apikey',
  'api_key',
  'password',
  'secret',
  'client_secret',
]);
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'x-api-key']);
const SHOWN_CHARACTERS = 8;

/** `text` with every token cut to its first characters, and without credentials. */
export function redactSecrets(text: string): string {
  const cut = text
    .replaceAll(TOKEN_PATTERN, (token) => `${token.slice(0, SHOWN_CHARACTERS)}…`)
    .replaceAll(CREDENTIALS, (all: string, scheme: string, space: string, value: string) =>
      isTokenStart(value) ? all : `${scheme}${space}…`,
    );
  return withoutSecretParameters(cut);
}

function withoutSecretParameters(text: string): string {
  let shown = '';
  let at = 0;
  for (const { 0: all, 1: name = '', index } of text.matchAll(PARAMETER)) {
    if (index < at || !SECRET_PARAMETERS.has(name.toLowerCase())) continue;
    const start = index + all.length;
    VALUE.lastIndex = start;
    const [value = ''] = VALUE.exec(text) ?? [];
    if (value === '' || isTokenStart(value.slice(0, TOKEN_START.length))) continue;
    shown += `${text.slice(at, start)}…`;
    at = start + value.length;
  }
  return shown + text.slice(at);
}

function isTokenStart(value: string): boolean {
  return value.toLowerCase() === TOKEN_START;
}

/** The value that a clause saw, redacted. @param path of the clause, which may name a header that is secret as a whole */
export function redactValue(path: string, saw: string): string {
  const header = clauseHeader(path);
  if (header === 'cookie') return saw.replaceAll(/=[^;]*/g, '=…');
  const shown = redactSecrets(saw);
  if (header === undefined || !SECRET_HEADERS.has(header) || shown !== saw || saw === 'absent' || saw === 'empty') return shown;
  return `${saw.slice(0, SHOWN_CHARACTERS / 2)}…`;
}
