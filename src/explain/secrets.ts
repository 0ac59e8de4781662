/*
 * What is shown of values that let others in: tokens, credentials, cookies. In: a text that came with a request. Out: the same
 * with the secret parts cut, so that an explanation may be pasted into a ticket.
 */

/** A JSON object in base64url, with or without the parts after it: the head of any compact JWS or JWE. */
const TOKEN = /\beyJ[\w-]{6,}(?:\.[\w-]*)*/g;
const CREDENTIALS = /\b(Basic|Bearer|Digest|Negotiate)(\s+)(?!eyJ)\S+/gi;
const SECRET_PARAMETER = /([?&](?:access_token|id_token|refresh_token|token|code|api_?key|password|(?:client_)?secret)=)(?!eyJ)[^&\s]+/gi;
const HEADER = /request\.headers\[([^\]]*)\]$/i;
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'x-api-key']);
const SHOWN = 8;

/** `text` with every token cut to its first characters, and without credentials. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(TOKEN, (token) => `${token.slice(0, SHOWN)}…`)
    .replaceAll(CREDENTIALS, '$1$2…')
    .replaceAll(SECRET_PARAMETER, '$1…');
}

/** What a clause saw, as it may be shown. @param path of the clause, which may name a header that is secret as a whole */
export function shownValue(path: string, saw: string): string {
  const header = HEADER.exec(path)?.[1]?.toLowerCase();
  if (header === 'cookie') return saw.replaceAll(/=[^;]*/g, '=…');
  const shown = withoutSecrets(saw);
  if (header === undefined || !SECRET_HEADERS.has(header) || shown !== saw || saw === 'absent' || saw === 'empty') return shown;
  return `${saw.slice(0, SHOWN / 2)}…`;
}
