/*
 * Cuts tokens, credentials and cookies out of text of a request, so that an explanation may be pasted into a ticket.
 */

/** A JSON object in base64url, with or without further parts: the start of any compact JWS or JWE. */
const TOKEN_PATTERN = /\beyJ[\w-]{6,}(?:\.[\w-]*)*/g;
const CREDENTIALS = /\b(Basic|Bearer|Digest|Negotiate)(\s+)(?!eyJ)\S+/gi;
const SECRET_PARAMETER = /([?&](?:access_token|id_token|refresh_token|token|code|api_?key|password|(?:client_)?secret)=)(?!eyJ)[^&\s]+/gi;
const HEADER_CLAUSE = /request\.headers\[([^\]]*)\]$/i;
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'x-api-key']);
const SHOWN_CHARACTERS = 8;

/** `text` with every token cut to its first characters, and without credentials. */
export function redactSecrets(text: string): string {
  return text
    .replaceAll(TOKEN_PATTERN, (token) => `${token.slice(0, SHOWN_CHARACTERS)}…`)
    .replaceAll(CREDENTIALS, '$1$2…')
    .replaceAll(SECRET_PARAMETER, '$1…');
}

/** The value that a clause saw, redacted. @param path of the clause, which may name a header that is secret as a whole */
export function redactValue(path: string, saw: string): string {
  const header = HEADER_CLAUSE.exec(path)?.[1]?.toLowerCase();
  if (header === 'cookie') return saw.replaceAll(/=[^;]*/g, '=…');
  const shown = redactSecrets(saw);
  if (header === undefined || !SECRET_HEADERS.has(header) || shown !== saw || saw === 'absent' || saw === 'empty') return shown;
  return `${saw.slice(0, SHOWN_CHARACTERS / 2)}…`;
}
