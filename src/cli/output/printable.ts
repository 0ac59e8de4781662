/*
 * Makes text of a request safe to print. A client may send anything, and an explanation may be pasted into a ticket.
 */
import { redactSecrets } from '../../explain/redact.ts';

const MAX_TARGET = 200;

/** Method and target, shortened, without control characters and tokens. */
export function requestText({ method, target }: { readonly method: string; readonly target: string }): string {
  const shown = redactSecrets(target);
  return printable(`${method} ${shown.length > MAX_TARGET ? `${shown.slice(0, MAX_TARGET)}…` : shown}`);
}

/** `text` with every control character replaced by `?`, because a terminal would interpret it. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are the characters to replace
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
